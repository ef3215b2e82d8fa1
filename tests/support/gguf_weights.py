"""The weights of a GGUF as numbers.

gguf-py's reader takes three seconds over the vocabulary, of which nothing is wanted here; our own
finds the tensors, and gguf-py makes numbers of what lies there.
"""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from glasschat.doctor.gguf_table import read_table


def weights_of(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and values of each tensor, in the order of the file, in float32."""
    data = np.memmap(path, np.uint8, "r")
    for tensor in read_table(path).tensors:
        stored = data[tensor.offset : tensor.offset + tensor.size]
        lines = stored.reshape(*tensor.shape[:-1], -1)
        kind = gguf.GGMLQuantizationType[tensor.type]
        values = gguf.quants.dequantize(lines, kind) if kind else lines.view(np.float32)
        yield tensor.name, np.ascontiguousarray(values, np.float32).reshape(tensor.shape)
