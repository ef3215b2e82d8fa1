"""Records of how tokens were chosen, as bytes of the table `traces`.

Nothing is lost: what comes out equals what went in, number by number. Equal bytes of all rows
stand together and candidates' logits as differences, which is what zlib needs to find anything:
some 370 bytes a token, where plain numbers would be 750.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glasschat.engine import Token
from glasschat.sampling import TEMPERATURES, TOP_CANDIDATES, Columns

ZLIB_LEVEL = 1
"""Level 6 takes three times as long to save two parts of a hundred."""

_HEAD = struct.Struct("<BIHI")
_FORM = 1
# With what stages measured; only the records of replies that had such a stage.
_MEASURED_FORM = 3
_ROWS = {
    "token_id": np.int32,
    "rank": np.int32,
    "forced": np.bool_,
    "logit": np.float32,
    "logsumexp": np.float64,
    "entropy": np.float64,
    "probability": np.float64,
    "u": np.float64,
    "seen": np.float32,
}
_WIDE: dict[str, tuple[Any, int]] = {
    "tail": (np.float32, len(TEMPERATURES)),
    "ids": (np.int32, TOP_CANDIDATES),
}
_STAGES: dict[str, Any] = {
    "kept": np.int32,
    "mass": np.float64,
    "after": np.float64,
    "best": np.int32,
}


def pack_steps(steps: Sequence[Token]) -> bytes:
    """Pack the records of `steps`, of which each has one, and the text that each released."""
    columns = Columns.of([step.record for step in steps if step.record is not None])
    return pack_columns(columns, [step.text for step in steps])


def pack_columns(columns: Columns, texts: Sequence[str]) -> bytes:
    """Pack the records of tokens, and the texts that they released."""
    words = json.dumps([columns.stages, texts]).encode()
    arrays = [getattr(columns, name) for name in (*_ROWS, *_WIDE, *_STAGES)]
    arrays.append(_logit_differences(columns.logits))
    has_measured = not np.isnan(columns.measured).all()
    if has_measured:
        arrays.append(columns.measured)
    body = b"".join([words, *map(_group_bytes, arrays)])
    form = _MEASURED_FORM if has_measured else _FORM
    head = _HEAD.pack(form, len(columns), len(columns.stages), len(words))
    return head + zlib.compress(body, ZLIB_LEVEL)


def unpack_steps(data: bytes | memoryview) -> tuple[Columns, tuple[str, ...]]:
    """Return the records and texts of packed bytes. Raises ValueError for any other bytes."""
    data = bytes(data)
    try:
        form, count, stages, words = _HEAD.unpack_from(data)
        body = zlib.decompress(data[_HEAD.size :])
        names, texts = json.loads(body[:words])
    except (struct.error, zlib.error) as error:
        raise ValueError(f"a trace is damaged: {error}") from error
    if form not in (_FORM, _MEASURED_FORM) or len(names) != stages or len(texts) != count:
        raise ValueError(f"a trace of the form {form} with {stages} stages is not known")
    reader = _Reader(body, words, count)
    columns: dict[str, Any] = {n: reader.take(kind, 1)[:, 0] for n, kind in _ROWS.items()}
    columns |= {name: reader.take(kind, width) for name, (kind, width) in _WIDE.items()}
    columns |= {name: reader.take(kind, stages) for name, kind in _STAGES.items()}
    columns["logits"] = _sum_differences(reader.take(np.uint32, TOP_CANDIDATES))
    columns["measured"] = np.full((count, stages), np.nan)
    if form == _MEASURED_FORM:
        columns["measured"] = reader.take(np.float64, stages)
    reader.end()
    return Columns(stages=tuple(names), **columns), tuple(texts)


class _Reader:
    """Reads array after array of `rows` rows from bytes."""

    def __init__(self, body: bytes, at: int, rows: int) -> None:
        self._body, self._at, self._rows = body, at, rows

    def take(self, kind: Any, width: int) -> NDArray[Any]:
        """Read an array of the dtype `kind`, (rows, width)."""
        size = np.dtype(kind).itemsize
        end = self._at + size * width * self._rows
        part = np.frombuffer(self._body[self._at : end], np.uint8)
        self._at = end
        return _ungroup_bytes(part, np.dtype(kind)).reshape(self._rows, width)

    def end(self) -> None:
        """Check that nothing is left. Raises ValueError."""
        if self._at != len(self._body):
            raise ValueError(f"a trace has {len(self._body)} bytes and {self._at} were expected")


def _group_bytes(array: NDArray[Any]) -> bytes:
    """Return the first bytes of all numbers, then their second bytes, and so on."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    flat = np.ascontiguousarray(little).reshape(-1)
    return flat.view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


def _ungroup_bytes(data: NDArray[np.uint8], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return the numbers of grouped bytes, flat, of the dtype `kind`."""
    plain = np.ascontiguousarray(data.reshape(kind.itemsize, -1).T)
    return plain.view(kind.newbyteorder("<"))[:, 0].astype(kind, copy=False)


def _logit_differences(logits: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return each row's descending logits as differences of integers in the same order.

    A float32's bits, read as an integer, have its order once negative numbers are inverted.
    """
    bits = logits.view(np.uint32)
    order = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    order[:, 1:] = order[:, :-1] - order[:, 1:]
    return order


def _sum_differences(steps: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return the logits that `_logit_differences` was given."""
    order = steps.copy()
    order[:, 1:] = order[:, :1] - np.cumsum(order[:, 1:], axis=1, dtype=np.uint32)
    bits = np.where(order >> 31, order ^ np.uint32(1 << 31), ~order)
    return bits.view(np.float32)


def pack_prompt_ids(ids: Sequence[int]) -> bytes:
    """Pack the ids of a prompt."""
    return zlib.compress(_group_bytes(np.array(ids, np.uint32)), ZLIB_LEVEL)


def unpack_prompt_ids(data: bytes) -> tuple[int, ...]:
    """Return the ids of a packed prompt. Raises zlib.error for other bytes."""
    ids = np.frombuffer(zlib.decompress(data), np.uint8)
    return tuple(_ungroup_bytes(ids, np.dtype(np.uint32)).tolist())


def pack_first(data: bytes, tokens: int) -> tuple[bytes, int]:
    """Return at most the first `tokens` of packed records, packed, and how many they are.

    Raises ValueError and struct.error for other bytes.
    """
    count = int(_HEAD.unpack_from(data)[1])
    if count <= tokens:
        return data, count
    columns, texts = unpack_steps(data)
    return pack_columns(columns.part(slice(0, tokens)), texts[:tokens]), tokens
