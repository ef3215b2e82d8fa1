"""How each token of a reply was chosen, in the tables `prompts` and `traces`.

A run's records are appended as its text is, and stay as they were appended.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, insert, literal, select

from glasschat.chat.node import Run
from glasschat.chat.store.packing import unpack_run
from glasschat.chat.store.remote_trace_packing import is_remote, join_remote_tokens
from glasschat.chat.store.schema import NUMBER, prompts, runs, traces, turns
from glasschat.chat.store.trace_packing import (
    pack_columns,
    pack_first,
    pack_prompt_ids,
    unpack_prompt_ids,
    unpack_steps,
)
from glasschat.chat.store.turns import turn_row
from glasschat.engine import Generation
from glasschat.errors import StoreDamaged
from glasschat.glass import RemoteTrace, Trace
from glasschat.prompt import OpenReply, PromptEncoding, Span
from glasschat.sampling import Columns


def insert_prompt(connection: Connection, run: int, generation: Generation) -> None:
    """Insert what the model reads for a run; this comes with the run's first records."""
    request = generation.request
    _insert_prompt(
        connection,
        run,
        generation.prompt,
        end_ids=sorted(request.end_ids),
        vocab_size=request.vocab_size,
        seed=generation.snapshot().seed,
    )


def insert_trace(connection: Connection, run: int, trace: Trace) -> None:
    """Insert a whole trace of a run, as an import brings it."""
    _insert_prompt(
        connection,
        run,
        trace.prompt,
        end_ids=sorted(trace.end_ids),
        vocab_size=trace.vocab_size,
        seed=trace.seed,
    )
    append_traces(connection, [(run, 0, pack_columns(trace.columns, trace.texts))])


def _insert_prompt(connection: Connection, run: int, prompt: PromptEncoding, **facts: Any) -> None:
    open_reply = prompt.open_reply
    layout = {
        "spans": [[s.start, s.end, s.origin, s.message] for s in prompt.spans],
        "open_reply": None if open_reply is None else [open_reply.tokens, open_reply.text],
        "left_out": prompt.left_out,
        **facts,
    }
    ids = pack_prompt_ids(prompt.ids)
    connection.execute(insert(prompts).values(run=run, ids=ids, layout=json.dumps(layout)))


def append_traces(connection: Connection, parts: Sequence[tuple[int, int, bytes]]) -> None:
    """Append to several runs at once: run, place and packed records of each."""
    if parts:
        rows = [{"run": run, "place": place, "steps": data} for run, place, data in parts]
        connection.execute(insert(traces), rows)


def copy_traces(connection: Connection, conversation: int, source: str, turn: int) -> None:
    """Copy to the runs of a turn, but its last, the records of the runs of the turn `source`.

    Each gets as many tokens as it has. What is damaged, or not there, is not copied.
    """
    query = select(runs.c.number, runs.c.place, runs.c.first_token).order_by(runs.c.place)
    branch_runs = connection.execute(query.where(runs.c.turn == turn)).all()
    of_source = (turns.c.conversation == conversation, turns.c.id == source)
    found = connection.execute(query.join(turns, turns.c.number == runs.c.turn).where(*of_source))
    source_runs = {row.place: row.number for row in found}
    for run, following in pairwise(branch_runs):
        if run.place in source_runs:
            tokens = following.first_token - run.first_token
            _copy_run(connection, source_runs[run.place], run.number, tokens)


def _copy_run(connection: Connection, source: int, target: int, tokens: int) -> None:
    stored = select(traces.c.steps).where(traces.c.run == source).order_by(traces.c.place)
    parts: list[bytes] = []
    try:
        for data in connection.scalars(stored).all():
            if not tokens:
                break
            part, count = pack_first(bytes(data), tokens)
            parts.append(part)
            tokens -= count
    except (ValueError, struct.error):
        return
    if parts:
        read = select(literal(target, NUMBER), prompts.c.ids, prompts.c.layout)
        read = read.where(prompts.c.run == source)
        connection.execute(insert(prompts).from_select(["run", "ids", "layout"], read))
        append_traces(connection, [(target, place, part) for place, part in enumerate(parts)])


def load_traces(
    connection: Connection, conversation: Row[Any], turn_id: str
) -> tuple[Trace | None, ...]:
    """Return a trace for each run of the turn, None where nothing was recorded.

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
    parts = {run: some for run, some in _parts(connection, turn).items() if not is_remote(some[0])}
    with _damage_reported():
        return tuple(
            _build_trace(row, unpack_run(row), parts[row.number]) if row.number in parts else None
            for row in found
        )


def load_remote_traces(
    connection: Connection, conversation: Row[Any], turn_id: str
) -> tuple[RemoteTrace | None, ...]:
    """Return what a server told of each run of the turn, None where none did.

    Raises StoreDamaged, StoreConflict.
    """
    turn = turn_row(connection, conversation.number, turn_id)
    here = select(runs.c.number).where(runs.c.turn == turn.number).order_by(runs.c.place)
    numbers = connection.execute(here).scalars().all()
    parts = {run: some for run, some in _parts(connection, turn).items() if is_remote(some[0])}
    with _damage_reported():
        return tuple(join_remote_tokens(parts[run]) if run in parts else None for run in numbers)


def _parts(connection: Connection, turn: Row[Any]) -> dict[int, list[bytes]]:
    """Return what was appended to each run of the turn, in order."""
    parts: dict[int, list[bytes]] = {}
    here = select(runs.c.number).where(runs.c.turn == turn.number)
    chunks = select(traces).where(traces.c.run.in_(here)).order_by(traces.c.run, traces.c.place)
    for part in connection.execute(chunks):
        parts.setdefault(part.run, []).append(part.steps)
    return parts


@contextmanager
def _damage_reported() -> Iterator[None]:
    """Raise StoreDamaged for what unpacking raises."""
    try:
        yield
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StoreDamaged(
            "what is stored of how this reply was chosen is damaged ({error}): its text is not, "
            "and a backup of the store has it",
            error=error,
        ) from error


def _build_trace(row: Row[Any], run: Run, parts: Sequence[bytes]) -> Trace:
    layout = json.loads(row.layout)
    open_reply = layout["open_reply"]
    read = [unpack_steps(part) for part in parts]
    return Trace(
        prompt=PromptEncoding(
            ids=unpack_prompt_ids(row.prompt),
            spans=tuple(Span(*span) for span in layout["spans"]),
            open_reply=None if open_reply is None else OpenReply(*open_reply),
            left_out=tuple(layout["left_out"]),
        ),
        params=run.params,
        seed=layout["seed"],
        end_ids=frozenset(layout["end_ids"]),
        vocab_size=layout["vocab_size"],
        columns=Columns.joined([columns for columns, _ in read]),
        texts=tuple(text for _, texts in read for text in texts),
    )
