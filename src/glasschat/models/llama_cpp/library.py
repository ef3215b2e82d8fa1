"""llama.cpp, loaded with threads that spin only briefly at a barrier.

llama.cpp's workers meet at a barrier several hundred times a token. GNU OpenMP's default is to spin
there for milliseconds: on a quiet machine that is fastest, but beside a busy neighbour, a browser
say, the worker that has the processor spins for the one that has not, and decoding becomes ten to a
hundred times slower. A spin of some four tenths of a millisecond, then sleep, keeps the speed, and
`ThreadTuner` does the rest. The setting is read once, when the library is loaded; a value that the
user has set is left alone. Measured in docs/decisions/threads-that-sleep.md.
"""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import llama_cpp

__all__ = ["llama_cpp"]
