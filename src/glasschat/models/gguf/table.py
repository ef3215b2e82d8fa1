"""Entries of a GGUF header: metadata fields, then tensors."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from glasschat.models.gguf.reader import MOST_TEXTS, DamagedError, GgufArray, Reader, Value
from glasschat.models.gguf.types import TENSOR_TYPES

_MOST_DIMENSIONS = 4
_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Entry of the tensor table; `offset` is in bytes from the start of the data.

    `shape` has the fastest dimension first. `size` is in bytes, and 0 for an unknown type, which is
    called by its number.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    size: int

    @property
    def elements(self) -> int:
        """Return how many numbers it has."""
        return prod(self.shape)


def read_fields(
    reader: Reader, count: int, arrays: Collection[str] = ()
) -> Iterator[tuple[str, Value]]:
    """Yield the metadata; arrays of more than 1,024 entries come whole where `arrays` names them.

    Raises CutOffError and DamagedError.
    """
    texts = 0
    for _ in range(count):
        key = reader.text()
        value = reader.value(key in arrays, MOST_TEXTS - texts)
        texts += value.length if isinstance(value, GgufArray) else 0
        yield key, value


def read_tensors(reader: Reader, count: int) -> Iterator[GgufTensor]:
    """Yield the tensors, in the order of the file. Raises CutOffError and DamagedError."""
    for _ in range(count):
        name = reader.text()
        rank = reader.number("I")
        if rank > _MOST_DIMENSIONS:
            raise DamagedError(
                "a tensor {name} of {rank:,} dimensions", name=repr(name[:80]), rank=rank
            )
        shape = tuple(reader.number("Q") for _ in range(rank))
        kind, offset = reader.number("I"), reader.number("Q")
        if kind not in TENSOR_TYPES:
            yield GgufTensor(name, shape, f"type {kind}", offset, 0)
            continue
        type_name, block, block_bytes = TENSOR_TYPES[kind]
        elements = prod(shape)
        if elements >> 50 or offset >> 60 or (shape and shape[0] % block):
            raise DamagedError(
                "a tensor {name} of shape {shape} at byte {offset:,}",
                name=repr(name[:80]),
                shape=[*shape],
                offset=offset,
            )
        yield GgufTensor(name, shape, type_name, offset, elements // block * block_bytes)


def data_start(reader: Reader, metadata: Mapping[str, Value]) -> int:
    """Return the offset of the data in the file, when the reader is at the end of the tensors.

    Raises DamagedError for an impossible alignment.
    """
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if (
        not isinstance(alignment, int)
        or not 0 < alignment <= 1 << 20
        or alignment & (alignment - 1)
    ):
        raise DamagedError(
            "an alignment of {alignment}, which is no power of two", alignment=str(alignment)[:80]
        )
    return -(-reader.position // alignment) * alignment
