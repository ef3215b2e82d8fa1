"""torch and transformers, loaded with threads that spin only briefly at a barrier.

torch's workers meet at a barrier several hundred times a token, as llama.cpp's do
(llama_cpp/library.py, which explains the remedy). What torch does between two barriers takes
longer, so a still shorter spin is right. SmolLM2-135M in bfloat16 on two cores beside busy
neighbours, two threads, tokens/s of one and of eight replies: 3 and 15 by the library's default, 3
and 24 with 20,000, 10 to 18 and 77 to 145 with 2,000. The setting is read once, when the first
library that uses GNU OpenMP is loaded: where that was llama.cpp, its own holds.
"""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import torch
import transformers
from torch import Tensor

__all__ = ["Tensor", "torch", "transformers"]
