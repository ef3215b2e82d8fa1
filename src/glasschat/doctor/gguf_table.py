"""A GGUF file as far as it can be read: its metadata, and where its tensors lie.

`models.gguf` refuses a file that is not whole; the doctor wants to say what is left of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from glasschat.doctor.facts import TensorPlace
from glasschat.models.gguf.header import MAGIC
from glasschat.models.gguf.reader import (
    MOST_FIELDS,
    MOST_TENSORS,
    MOST_TEXTS,
    CutOffError,
    DamagedError,
    GgufArray,
    Reader,
    Value,
)
from glasschat.models.gguf.types import TENSOR_TYPES

_MOST_DIMENSIONS = 4


@dataclass(frozen=True, slots=True)
class GgufTable:
    """What could be read of one file."""

    metadata: Mapping[str, Value]
    tensors: tuple[TensorPlace, ...]


def read_table(path: Path, arrays: Collection[str] = ()) -> GgufTable:
    """Read on until the file ends or makes no sense; never raises for what is in it.

    Arrays of more than 1,024 entries come as a `GgufArray`, unless `arrays` names them.
    """
    metadata: dict[str, Value] = {}
    tensors: list[TensorPlace] = []
    try:
        # Reading a pipe would wait for ever.
        if not path.is_file():
            return GgufTable({}, ())
        with path.open("rb") as file:
            reader = Reader(file, path.stat().st_size)
            if reader.number("I") == int.from_bytes(MAGIC, "little"):
                _read(reader, path, arrays, metadata, tensors)
    except (OSError, CutOffError, DamagedError):
        pass
    return GgufTable(metadata, tuple(tensors))


def _read(
    reader: Reader,
    path: Path,
    arrays: Collection[str],
    metadata: dict[str, Value],
    tensors: list[TensorPlace],
) -> None:
    reader.skip_scalars("I", 1)
    tensor_count, fields = reader.number("Q"), reader.number("Q")
    texts = 0
    for _ in range(min(fields, MOST_FIELDS)):
        key = reader.text()
        value = reader.value(key in arrays, MOST_TEXTS - texts)
        texts += value.length if isinstance(value, GgufArray) else 0
        metadata.setdefault(key, value)
    found = []
    for _ in range(min(tensor_count, MOST_TENSORS)):
        name, rank = reader.text(), reader.number("I")
        if rank > _MOST_DIMENSIONS:
            raise DamagedError(f"a tensor of {rank:,} dimensions")
        shape = tuple(reader.number("Q") for _ in range(rank))
        found.append((name, shape, reader.number("I"), reader.number("Q")))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        alignment = 32
    start = -(-reader.position // alignment) * alignment
    for name, shape, kind, offset in found:
        type_name, block, block_bytes = TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        size = prod(shape) // block * block_bytes
        # GGUF names the quickest dimension first; everybody else names it last.
        place = TensorPlace(name, type_name, shape[::-1], path, start + offset, size)
        tensors.append(place)
