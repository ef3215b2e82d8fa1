"""Reads the key-value pairs and the tensor locations of a GGUF file, as far as possible.

`models.gguf.header` refuses a file that is not whole; the doctor reports what is left of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from glasschat.doctor.metadata import TensorLocation
from glasschat.models.gguf.header import MAGIC
from glasschat.models.gguf.reader import (
    MOST_FIELDS,
    MOST_TENSORS,
    CutOffError,
    DamagedError,
    Reader,
    Value,
)
from glasschat.models.gguf.table import data_start, read_fields, read_tensors


@dataclass(frozen=True, slots=True)
class GgufTable:
    """What could be read of one GGUF file."""

    metadata: Mapping[str, Value]
    tensors: tuple[TensorLocation, ...]


def read_table(path: Path, arrays: Collection[str] = ()) -> GgufTable:
    """Read until the file ends or is not valid. Does not raise for anything in the file.

    Arrays of more than 1,024 entries come as a `GgufArray`, unless `arrays` names them.
    """
    metadata: dict[str, Value] = {}
    tensors: list[TensorLocation] = []
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
    tensors: list[TensorLocation],
) -> None:
    reader.skip_scalars("I", 1)
    tensor_count, fields = reader.number("Q"), reader.number("Q")
    for key, value in read_fields(reader, min(fields, MOST_FIELDS), arrays):
        metadata.setdefault(key, value)
    found = list(read_tensors(reader, min(tensor_count, MOST_TENSORS)))
    start = data_start(reader, metadata)
    # GGUF names the quickest dimension first; everybody else names it last.
    tensors += [
        TensorLocation(
            name=tensor.name,
            type=tensor.type,
            shape=tensor.shape[::-1],
            path=path,
            offset=start + tensor.offset,
            size=tensor.size,
        )
        for tensor in found
    ]
