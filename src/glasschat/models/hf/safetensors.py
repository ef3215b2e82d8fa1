"""Header of a safetensors file: its tensors, and whether the file is complete.

Reads no weights and trusts no length. The format: a little-endian length of 8 bytes, that many
bytes of JSON, then the tensors, one after the other without a gap.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.messages import Message
from glasschat.models.hf.bounded_json import parse_object

HEADER_BYTES = 32 << 20
MOST_DIMENSIONS = 16
# Each type by torch's name, with its size in bits.
TYPES: Mapping[str, tuple[str, int]] = {
    "BOOL": ("bool", 8),
    "F4": ("float4_e2m1fn_x2", 4),
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "I16": ("int16", 16),
    "U16": ("uint16", 16),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "I32": ("int32", 32),
    "U32": ("uint32", 32),
    "F32": ("float32", 32),
    "F64": ("float64", 64),
    "I64": ("int64", 64),
    "U64": ("uint64", 64),
    "C64": ("complex64", 64),
}
_BITS = dict(TYPES.values())
_LFS = b"version https://git-lfs"
_AGAIN = Message("download or copy it again")


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor as stored: its type by torch's name, such as `bfloat16`, its shape and its file."""

    dtype: str
    shape: tuple[int, ...]
    file: str

    @property
    def elements(self) -> int:
        """Return how many numbers it holds."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Return how many bytes of the file it takes."""
        return self.elements * _BITS[self.dtype] // 8


def read_safetensors(path: Path) -> dict[str, TensorEntry]:
    """Read the tensors in the file at `path`, by name, in milliseconds.

    Raises ModelNotFound where there is no file, InvalidModel for one that is no safetensors, is
    damaged or is cut off.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidModel(
                "{name} is not a regular file: {advice}", name=path.name, advice=_AGAIN
            )
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) == 8 and 2 <= length <= min(HEADER_BYTES, status.st_size - 8):
                header = file.read(length)
            else:
                raise _no_header(path, start + file.read(120), length, status.st_size)
    except OSError as error:
        raise ModelNotFound(
            "{path} cannot be read: {reason}", path=path, reason=error.strerror or error
        ) from None
    if not header.startswith(b"{"):
        raise _foreign(path, status.st_size)
    document = parse_object(header, path.name)
    notes = document.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise InvalidModel(
            "{name} is damaged: its __metadata__ is no text: {advice}",
            name=path.name,
            advice=_AGAIN,
        )
    needed = 8 + length + _check_data(path, document)
    if needed > status.st_size:
        raise InvalidModel(
            "{name} is cut off: it has {size:,} bytes and needs {needed:,}: {advice}",
            name=path.name,
            size=status.st_size,
            needed=needed,
            advice=_AGAIN,
        )
    if needed < status.st_size:
        raise InvalidModel(
            "{name} is damaged: it has {size:,} bytes and its tensors end at {needed:,}: {advice}",
            name=path.name,
            size=status.st_size,
            needed=needed,
            advice=_AGAIN,
        )
    return {
        name: TensorEntry(TYPES[entry["dtype"]][0], tuple(entry["shape"]), path.name)
        for name, entry in document.items()
    }


def _no_header(path: Path, start: bytes, length: int, size: int) -> InvalidModel:
    """Return the error for a file whose header cannot be read."""
    if start.startswith(_LFS):
        return InvalidModel(
            "{name} is a Git LFS pointer of {size:,} bytes and not the weights: {advice}",
            name=path.name,
            size=size,
            advice=Message("run `git lfs pull` in the folder, or download the file"),
        )
    # The header of a file that was cut off early lies within reach; that of nonsense does not.
    near = 2 <= length <= HEADER_BYTES and start[8:9] in (b"", b"{")
    if len(start) < 8 or near:
        return InvalidModel(
            "{name} is cut off: it has {size:,} bytes and its header alone needs {needed:,}: "
            "{advice}",
            name=path.name,
            size=size,
            needed=8 + length,
            advice=_AGAIN,
        )
    return _foreign(path, size)


def _foreign(path: Path, size: int) -> InvalidModel:
    """Return the error for a file of another format."""
    return InvalidModel(
        "{name} is not a safetensors file: its {size:,} bytes do not begin as one: {advice}",
        name=path.name,
        size=size,
        advice=_AGAIN,
    )


def _check_data(path: Path, document: Mapping[str, Any]) -> int:
    """Check every entry; return how many bytes of data there are. Raises InvalidModel."""
    ranges = []
    for name, entry in document.items():
        try:
            type_name, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            counts = [*shape, begin, end]
            known = type_name in TYPES
        except (TypeError, ValueError, KeyError):
            raise _damaged(path, name, Message("without type, shape and place")) from None
        if not known:
            raise _damaged(
                path,
                name,
                Message("of the unknown type {type_name}", type_name=repr(str(type_name)[:40])),
            )
        if (
            not isinstance(shape, list)
            or len(shape) > MOST_DIMENSIONS
            or any(type(count) is not int or not 0 <= count < 1 << 60 for count in counts)
        ):
            raise _damaged(path, name, Message("of shape {shape}", shape=str(shape)[:80]))
        if prod(shape) * TYPES[type_name][1] != (end - begin) * 8:
            raise _damaged(
                path,
                name,
                Message(
                    "of {type_name} and shape {shape} in {length:,} bytes",
                    type_name=type_name,
                    shape=shape,
                    length=end - begin,
                ),
            )
        ranges.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(ranges):
        if begin != position:
            raise _damaged(
                path,
                name,
                Message(
                    "at byte {begin:,}, where {position:,} is due", begin=begin, position=position
                ),
            )
        position = end
    return position


def _damaged(path: Path, name: str, what: str) -> InvalidModel:
    """Return the error for an impossible tensor."""
    return InvalidModel(
        "{name} is damaged: it claims a tensor {tensor} {what}: {advice}",
        name=path.name,
        tensor=repr(name[:80]),
        what=what,
        advice=_AGAIN,
    )
