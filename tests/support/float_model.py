"""The built-in model with its weights in float32.

A 4-bit model also rounds its activations to 8 bits, so that adding in another order moves its
logits by up to 1, as much as a token missed. In float32 the same change moves them by a
thousandth, and a comparison can tell right from wrong.
"""

import struct
from pathlib import Path

import gguf

from glasschat.models.gguf.reader import Reader
from glasschat.models.gguf.table import read_fields
from tests.support.gguf_weights import weights_of

_ALIGNMENT = 32


def write_float_model(source: Path, target: Path) -> None:
    """Copy the GGUF at `source` to `target` with every tensor in float32; metadata as it is."""
    weights = list(weights_of(source))
    table, offset = b"", 0
    for name, values in weights:
        shape = values.shape[::-1]
        table += struct.pack(f"<Q{len(name)}sI", len(name), name.encode(), len(shape))
        table += struct.pack(f"<{len(shape)}Q", *shape)
        table += struct.pack("<IQ", gguf.GGMLQuantizationType.F32, offset)
        offset += values.nbytes + -values.nbytes % _ALIGNMENT
    with target.open("wb") as file:
        file.write(_metadata(source) + table)
        for _, values in weights:
            file.write(bytes(-file.tell() % _ALIGNMENT))
            values.tofile(file)


def _metadata(path: Path) -> bytes:
    """Everything up to the first tensor's entry."""
    with path.open("rb") as file:
        reader = Reader(file, path.stat().st_size)
        reader.skip_scalars("I", 2)
        reader.skip_scalars("Q", 1)
        for _ in read_fields(reader, reader.number("Q")):
            pass
        file.seek(0)
        return file.read(reader.position)
