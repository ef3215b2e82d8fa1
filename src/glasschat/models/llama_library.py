"""llama.cpp, loaded with threads that do not spin for each other.

llama.cpp's workers meet at a barrier several hundred times a token. GNU OpenMP's default is to
spin there for milliseconds, so that one busy neighbour on the machine, a browser say, slows
decoding by a factor of ten to a hundred: the worker that has the processor spins for the one
that has not. A short spin, then sleep, costs little when the machine is quiet. The setting is
read once, when the library is loaded; a value that the user has set is left alone. Measured in
docs/log.md.
"""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "100")

import llama_cpp

__all__ = ["llama_cpp"]
