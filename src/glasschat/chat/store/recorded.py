"""What was recorded of a reply, or told of it, out of the database."""

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, select

from glasschat.chat.node import Run
from glasschat.chat.store.packing import unpacked_run
from glasschat.chat.store.schema import prompts, runs, traces
from glasschat.chat.store.telling import is_told, joined
from glasschat.chat.store.tracing import unpacked_prompt, unpacked_steps
from glasschat.chat.store.turns import turn_row
from glasschat.errors import StoreDamaged
from glasschat.glass import Told, Trace
from glasschat.prompt import OpenReply, PromptEncoding, Span
from glasschat.sampling import Columns


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
) -> tuple[Told | None, ...]:
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
            f"what is stored of how this reply was chosen is damaged ({error}): its text is not, "
            "and a backup of the store has it"
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
