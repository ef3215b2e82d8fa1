"""How each token of a reply was chosen, in the database: appended as chunks are, and kept.

Nothing is lost: what comes out equals what went in, number by number. Equal bytes of all rows
stand together and candidates' logits as differences, which is what zlib needs to find anything:
some 370 bytes a token, where plain numbers would be 750.
"""

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, insert, literal, select

from glasschat.chat.node import Run
from glasschat.chat.store.packing import unpacked_run
from glasschat.chat.store.schema import NUMBER, prompts, runs, traces, turns
from glasschat.chat.store.turns import turn_row
from glasschat.engine import Generation, Token
from glasschat.errors import StoreDamaged
from glasschat.glass import RemoteCandidate, RemoteToken, RemoteTrace, Trace
from glasschat.prompt import OpenReply, PromptEncoding, Span
from glasschat.sampling import TEMPERATURES, TOP_CANDIDATES, Columns

FORM = 2
"""The first byte; a trace of ours begins with another."""

_TOKENS_HEAD = struct.Struct("<BI")


def packed_told(steps: Sequence[RemoteToken]) -> bytes:
    """What was told of them."""
    rows = [
        [
            step.text,
            None if step.chosen is None else _plain(step.chosen),
            [_plain(candidate) for candidate in step.top],
        ]
        for step in steps
    ]
    body = json.dumps(rows, separators=(",", ":")).encode()
    return _TOKENS_HEAD.pack(FORM, len(rows)) + zlib.compress(body, _LEVEL)


def is_told(data: bytes | memoryview) -> bool:
    """Whether these bytes are of `packed_told`."""
    return bytes(data[:1]) == bytes([FORM])


def unpacked_told(data: bytes | memoryview) -> tuple[RemoteToken, ...]:
    """The steps again. Raises ValueError for other bytes."""
    data = bytes(data)
    try:
        form, count = _TOKENS_HEAD.unpack_from(data)
        rows = json.loads(zlib.decompress(data[_TOKENS_HEAD.size :]))
        if form != FORM or len(rows) != count:
            raise ValueError(f"form {form} with {len(rows)} of {count} tokens is not known")
        return tuple(_step(*row) for row in rows)
    except (struct.error, zlib.error, TypeError, AttributeError) as error:
        raise ValueError(f"what a server told is damaged: {error}") from error


def joined(parts: Sequence[bytes]) -> RemoteTrace:
    """What was told of a run, from all of its parts. Raises ValueError."""
    return RemoteTrace(tuple(step for part in parts for step in unpacked_told(part)))


def _plain(candidate: RemoteCandidate) -> list[Any]:
    """Its bytes are left out where they are its text's."""
    data = candidate.data
    if data is not None and data == candidate.written.encode(errors="surrogatepass"):
        return [candidate.written, candidate.logprob]
    told = None if data is None else b64encode(data).decode()
    return [candidate.written, candidate.logprob, told]


def _step(text: str, chosen: list[Any] | None, top: list[list[Any]]) -> RemoteToken:
    own = None if chosen is None else _candidate(*chosen)
    return RemoteToken(text, own, tuple(_candidate(*plain) for plain in top))


def _candidate(written: str, logprob: float, data: str | None = "") -> RemoteCandidate:
    own = None if data is None else b64decode(data) if data else written.encode()
    return RemoteCandidate(written, own, logprob)


_LEVEL = 1  # of zlib: 6 takes three times as long to save two parts of a hundred
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


def packed_steps(steps: Sequence[Token]) -> bytes:
    """The records of `steps`, of which each has one, and the text that each released."""
    columns = Columns.of([step.record for step in steps if step.record is not None])
    return _packed(columns, [step.text for step in steps])


def _packed(columns: Columns, texts: Sequence[str]) -> bytes:
    words = json.dumps([columns.stages, texts]).encode()
    arrays = [getattr(columns, name) for name in (*_ROWS, *_WIDE, *_STAGES)]
    arrays.append(_differences(columns.logits))
    has_measured = not np.isnan(columns.measured).all()
    if has_measured:
        arrays.append(columns.measured)
    body = b"".join([words, *map(_by_bytes, arrays)])
    head = _HEAD.pack(
        _MEASURED_FORM if has_measured else _FORM, len(columns), len(columns.stages), len(words)
    )
    return head + zlib.compress(body, _LEVEL)


def unpacked_steps(data: bytes | memoryview) -> tuple[Columns, tuple[str, ...]]:
    """The records again, and the texts. Raises ValueError for other bytes."""
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
    columns["logits"] = _sums(reader.take(np.uint32, TOP_CANDIDATES))
    columns["measured"] = np.full((count, stages), np.nan)
    if form == _MEASURED_FORM:
        columns["measured"] = reader.take(np.float64, stages)
    reader.end()
    return Columns(stages=tuple(names), **columns), tuple(texts)


class _Reader:
    """Takes array after array of `rows` rows out of bytes."""

    def __init__(self, body: bytes, at: int, rows: int) -> None:
        self._body, self._at, self._rows = body, at, rows

    def take(self, kind: Any, width: int) -> NDArray[Any]:
        size = np.dtype(kind).itemsize
        end = self._at + size * width * self._rows
        part = np.frombuffer(self._body[self._at : end], np.uint8)
        self._at = end
        return _from_bytes(part, np.dtype(kind)).reshape(self._rows, width)

    def end(self) -> None:
        if self._at != len(self._body):
            raise ValueError(f"a trace has {len(self._body)} bytes and {self._at} were expected")


def _by_bytes(array: NDArray[Any]) -> bytes:
    """The first bytes of all numbers, then the second ones, and so on."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    flat = np.ascontiguousarray(little).reshape(-1)
    return flat.view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


def _from_bytes(data: NDArray[np.uint8], kind: np.dtype[Any]) -> NDArray[Any]:
    """The numbers again, flat."""
    plain = np.ascontiguousarray(data.reshape(kind.itemsize, -1).T)
    return plain.view(kind.newbyteorder("<"))[:, 0].astype(kind, copy=False)


def _differences(logits: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Each row's logits, which fall, as steps between the whole numbers of their order."""
    bits = logits.view(np.uint32)
    order = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    order[:, 1:] = order[:, :-1] - order[:, 1:]
    return order


def _sums(steps: NDArray[np.uint32]) -> NDArray[np.float32]:
    order = steps.copy()
    order[:, 1:] = order[:, :1] - np.cumsum(order[:, 1:], axis=1, dtype=np.uint32)
    bits = np.where(order >> 31, order ^ np.uint32(1 << 31), ~order)
    return bits.view(np.float32)


def put_prompt(connection: Connection, run: int, generation: Generation) -> None:
    """What the model reads for that run, with its first records."""
    request = generation.request
    _put_prompt(
        connection,
        run,
        generation.prompt,
        end_ids=sorted(request.end_ids),
        vocab_size=request.vocab_size,
        seed=generation.snapshot().seed,
    )


def put_trace(connection: Connection, run: int, trace: Trace) -> None:
    """A whole trace, as a file brings it."""
    _put_prompt(
        connection,
        run,
        trace.prompt,
        end_ids=sorted(trace.end_ids),
        vocab_size=trace.vocab_size,
        seed=trace.seed,
    )
    append_traces(connection, [(run, 0, _packed(trace.columns, trace.texts))])


def _put_prompt(connection: Connection, run: int, prompt: PromptEncoding, **facts: Any) -> None:
    again = prompt.open_reply
    layout = {
        "spans": [[s.start, s.end, s.origin, s.message] for s in prompt.spans],
        "open_reply": None if again is None else [again.tokens, again.text],
        "left_out": prompt.left_out,
        **facts,
    }
    ids = zlib.compress(_by_bytes(np.array(prompt.ids, np.uint32)), _LEVEL)
    connection.execute(insert(prompts).values(run=run, ids=ids, layout=json.dumps(layout)))


def unpacked_prompt(data: bytes) -> tuple[int, ...]:
    """The ids that a run read. Raises zlib.error for other bytes."""
    ids = np.frombuffer(zlib.decompress(data), np.uint8)
    return tuple(_from_bytes(ids, np.dtype(np.uint32)).tolist())


def append_traces(connection: Connection, parts: Sequence[tuple[int, int, bytes]]) -> None:
    """Append to several replies at once: run, place and packed steps of each."""
    if parts:
        rows = [{"run": run, "place": place, "steps": data} for run, place, data in parts]
        connection.execute(insert(traces), rows)


def copy_traces(connection: Connection, conversation: int, like: str, turn: int) -> None:
    """Give the runs of a turn, but its last, what those of the turn `like` have recorded.

    Each gets as many tokens as it has. What is damaged, or not there, is not copied.
    """
    query = select(runs.c.number, runs.c.place, runs.c.first_token).order_by(runs.c.place)
    ours = connection.execute(query.where(runs.c.turn == turn)).all()
    here = (turns.c.conversation == conversation, turns.c.id == like)
    found = connection.execute(query.join(turns, turns.c.number == runs.c.turn).where(*here))
    theirs = {row.place: row.number for row in found}
    for run, following in pairwise(ours):
        if run.place in theirs:
            tokens = following.first_token - run.first_token
            _copy_run(connection, theirs[run.place], run.number, tokens)


def _copy_run(connection: Connection, source: int, target: int, tokens: int) -> None:
    stored = select(traces.c.steps).where(traces.c.run == source).order_by(traces.c.place)
    parts: list[bytes] = []
    try:
        for data in connection.scalars(stored).all():
            if not tokens:
                break
            part, count = _first_of(bytes(data), tokens)
            parts.append(part)
            tokens -= count
    except (ValueError, struct.error):
        return
    if parts:
        read = select(literal(target, NUMBER), prompts.c.ids, prompts.c.layout)
        read = read.where(prompts.c.run == source)
        connection.execute(insert(prompts).from_select(["run", "ids", "layout"], read))
        append_traces(connection, [(target, place, part) for place, part in enumerate(parts)])


def _first_of(data: bytes, tokens: int) -> tuple[bytes, int]:
    """At most the first `tokens` of packed records, and how many they are."""
    count = int(_HEAD.unpack_from(data)[1])
    if count <= tokens:
        return data, count
    columns, texts = unpacked_steps(data)
    return _packed(columns.part(slice(0, tokens)), texts[:tokens]), tokens


def traces_of(
    connection: Connection, conversation: Row[Any], turn_id: str
) -> tuple[Trace | None, ...]:
    """One for each run of the turn, None where nothing was recorded.

    Raises StoreDamaged, StoreConflict.
    """
    turn = turn_row(connection, conversation.number, turn_id)
    query = (
        select(runs, prompts.c.ids.label("prompt"), prompts.c.layout)
        .join(prompts, prompts.c.run == runs.c.number, isouter=True)
        .where(runs.c.turn == turn.number)
        .order_by(runs.c.place)
    )
    found = connection.execute(query).all()
    parts = {run: some for run, some in _parts(connection, turn).items() if not is_told(some[0])}
    with _damage_told():
        return tuple(
            _trace(row, unpacked_run(row), parts[row.number]) if row.number in parts else None
            for row in found
        )


def told_of(
    connection: Connection, conversation: Row[Any], turn_id: str
) -> tuple[RemoteTrace | None, ...]:
    """One for each run of the turn, None where no server told of it.

    Raises StoreDamaged, StoreConflict.
    """
    turn = turn_row(connection, conversation.number, turn_id)
    here = select(runs.c.number).where(runs.c.turn == turn.number).order_by(runs.c.place)
    numbers = connection.execute(here).scalars().all()
    parts = {run: some for run, some in _parts(connection, turn).items() if is_told(some[0])}
    with _damage_told():
        return tuple(joined(parts[run]) if run in parts else None for run in numbers)


def _parts(connection: Connection, turn: Row[Any]) -> dict[int, list[bytes]]:
    """What was appended to each run of the turn."""
    parts: dict[int, list[bytes]] = {}
    here = select(runs.c.number).where(runs.c.turn == turn.number)
    chunks = select(traces).where(traces.c.run.in_(here)).order_by(traces.c.run, traces.c.place)
    for part in connection.execute(chunks):
        parts.setdefault(part.run, []).append(part.steps)
    return parts


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StoreDamaged(
            "what is stored of how this reply was chosen is damaged ({error}): its text is not, "
            "and a backup of the store has it",
            error=error,
        ) from error


def _trace(row: Row[Any], run: Run, parts: Sequence[bytes]) -> Trace:
    layout = json.loads(row.layout)
    again = layout["open_reply"]
    read = [unpacked_steps(part) for part in parts]
    return Trace(
        prompt=PromptEncoding(
            ids=unpacked_prompt(row.prompt),
            spans=tuple(Span(*span) for span in layout["spans"]),
            open_reply=None if again is None else OpenReply(*again),
            left_out=tuple(layout["left_out"]),
        ),
        params=run.params,
        seed=layout["seed"],
        end_ids=frozenset(layout["end_ids"]),
        vocab_size=layout["vocab_size"],
        columns=Columns.joined([columns for columns, _ in read]),
        texts=tuple(text for _, texts in read for text in texts),
    )
