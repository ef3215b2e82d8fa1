"""Replies in progress in the database: begun, appended to, ended, interrupted after a crash."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from glasschat.chat.node import Ending, Node, Run
from glasschat.chat.store.indexing import index_turn
from glasschat.chat.store.liveness import is_abandoned
from glasschat.chat.store.packing import ending_columns, pack_ids
from glasschat.chat.store.reading import text_with_chunks
from glasschat.chat.store.schema import chunks, conversations, runs, turns
from glasschat.chat.store.trace_tables import copy_traces
from glasschat.chat.store.turns import add_run, add_turn, open_turn, touch, turn_row
from glasschat.errors import StoreConflict


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply that has its rows before its first token; `text` and `ids` are of earlier runs."""

    owner: str
    conversation: int
    turn: int
    run: int
    writer: str
    started: Run
    text: str
    ids: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """New text and ids of a reply; empty as a heartbeat.

    `ids` are empty for a reply whose turn has none.
    """

    reply: StoredReply
    place: int
    text: str
    ids: tuple[int, ...]


# That the run is still this writer's to end, and was not continued by somebody else. Made once:
# the replies of a busy server go through here twice a second.
_later = runs.alias()
_OWN = (
    runs.c.number == bindparam("own_run"),
    runs.c.writer == bindparam("own_writer"),
    runs.c.ending.is_(None) | (runs.c.ending == Ending.INTERRUPTED),
    ~select(_later.c.number)
    .where(_later.c.turn == bindparam("own_turn"), _later.c.place > runs.c.place)
    .exists(),
)
_STILL_GROWING = update(runs).where(*_OWN).values(heartbeat=bindparam("now"), ending=None)
_APPEND = insert(chunks)


def begin(
    connection: Connection,
    conversation: Row[Any],
    node: Node,
    branch_of: str | None,
    *,
    writer: str,
    now: int,
) -> StoredReply:
    """Store a reply before its first token, or the further run of one that goes on.

    One that branches off the reply `branch_of` gets the traces of its earlier runs from there.
    """
    place = len(node.runs) - 1
    if place and branch_of is None:
        interrupt(connection, find_unfinished(connection, conversation.number), now)
        turn = turn_row(connection, conversation.number, node.id).number
        if node.ids is None:
            # What comes now has none, so that those of the text before it are of no use either.
            connection.execute(update(turns).where(turns.c.number == turn).values(ids=None))
        text, ids = text_with_chunks(connection, turn)
        open_turn(connection, conversation, node.id)
        number = _next_run(connection, turn, place, node, writer, now)
    else:
        turn = add_turn(connection, conversation, node)
        text, ids = node.text, node.ids
        for at in range(place + 1):
            number = add_run(connection, turn, at, node, writer=writer, now=now)
        if branch_of is not None:
            copy_traces(connection, conversation.number, branch_of, turn)
    touch(connection, conversation.number, now)
    started = node.runs[-1]
    return StoredReply(
        conversation.owner, conversation.number, turn, number, writer, started, text, ids
    )


def _next_run(
    connection: Connection, turn: int, place: int, node: Node, writer: str, now: int
) -> int:
    open_or_later = select(func.count()).where(
        runs.c.turn == turn, (runs.c.ending.is_(None)) | (runs.c.place >= place)
    )
    if connection.execute(open_or_later).scalar():
        raise StoreConflict("this reply is being continued elsewhere: load the chat again")
    return add_run(connection, turn, place, node, writer=writer, now=now)


def append(connection: Connection, new_chunks: Sequence[Chunk], now: int) -> set[int]:
    """Append to several replies at once; return the runs that are not this writer's any more.

    A run that was thought interrupted, because its machine slept, is open again.
    """
    lost = set()
    for chunk in new_chunks:
        alive = connection.execute(_STILL_GROWING, _key(chunk.reply) | {"now": now})
        if not alive.rowcount:
            lost.add(chunk.reply.run)
    rows = [
        {"run": c.reply.run, "place": c.place, "text": c.text, "ids": pack_ids(c.ids)}
        for c in new_chunks
        if c.reply.run not in lost and (c.text or c.ids)
    ]
    if rows:
        connection.execute(_APPEND, rows)
    return lost


def end(
    connection: Connection,
    reply: StoredReply,
    text: str,
    ids: tuple[int, ...] | None,
    run: Run,
    now: int,
) -> bool:
    """Store a reply that has ended in its turn; return whether the run was still this writer's.

    If it was not, nothing is changed.
    """
    ended = connection.execute(update(runs).where(*_OWN).values(ending_columns(run)), _key(reply))
    if ended.rowcount:
        _settle(connection, reply.turn, text, ids, now)
    return bool(ended.rowcount)


def find_unfinished(connection: Connection, conversation: int | None = None) -> list[Row[Any]]:
    """Return the runs without an ending: in progress, or left behind by a crash."""
    query = select(runs.c.number, runs.c.turn, runs.c.writer, runs.c.heartbeat).where(
        runs.c.ending.is_(None)
    )
    if conversation is not None:
        query = query.join(turns, turns.c.number == runs.c.turn).where(
            turns.c.conversation == conversation
        )
    return list(connection.execute(query))


def interrupt(connection: Connection, rows: Sequence[Row[Any]], now: int) -> None:
    """End those of the runs whose writer is gone, with what the store has of them."""
    for row in rows:
        if not is_abandoned(row.writer, row.heartbeat, now):
            continue
        # Nobody else may have been quicker, nor the writer have come back.
        mine = connection.execute(
            update(runs)
            .where(
                runs.c.number == row.number,
                runs.c.ending.is_(None),
                runs.c.heartbeat == row.heartbeat,
            )
            .values(ending=Ending.INTERRUPTED)
        )
        if mine.rowcount:
            _settle(connection, row.turn, *text_with_chunks(connection, row.turn), None)


def _key(reply: StoredReply) -> dict[str, Any]:
    return {"own_run": reply.run, "own_turn": reply.turn, "own_writer": reply.writer}


def _settle(
    connection: Connection, turn: int, text: str, ids: tuple[int, ...] | None, now: int | None
) -> None:
    """Move the whole text into the turn and delete the chunks."""
    connection.execute(
        update(turns)
        .where(turns.c.number == turn)
        .values(text=text, ids=None if ids is None else pack_ids(ids))
    )
    own_runs = select(runs.c.number).where(runs.c.turn == turn)
    connection.execute(delete(chunks).where(chunks.c.run.in_(own_runs)))
    row = connection.execute(
        select(conversations.c.number, conversations.c.owner)
        .join(turns, turns.c.conversation == conversations.c.number)
        .where(turns.c.number == turn)
    ).one()
    index_turn(connection, turn, row.owner, text)
    touch(connection, row.number, now)
