"""Reads conversations from the database."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, tuple_

from glasschat.chat.node import Ending, Node, Run
from glasschat.chat.saved import ConversationInfo, SavedConversation
from glasschat.chat.store.liveness import is_abandoned
from glasschat.chat.store.packing import unpack_ids, unpack_params, unpack_run
from glasschat.chat.store.schema import chunks, conversations, runs, turns
from glasschat.chat.tree import Tree
from glasschat.errors import ConversationNotFound, InvalidMessage, StoreDamaged


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a list goes on: behind this conversation."""

    pinned: bool
    updated: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list; `more` is where the next part begins, None at the end."""

    items: tuple[ConversationInfo, ...]
    more: Cursor | None


def info_of(row: Row[Any]) -> ConversationInfo:
    """Return the line of the list for a row of `conversations`."""
    return ConversationInfo(
        row.id, row.title, row.pinned, row.created, row.updated, row.deleted, row.revision
    )


def find_owned(connection: Connection, owner: str, conversation_id: str) -> Row[Any]:
    """Return the row of a conversation of `owner`. Raises ConversationNotFound."""
    row = connection.execute(
        select(conversations).where(
            conversations.c.id == conversation_id, conversations.c.owner == owner
        )
    ).first()
    if row is None:
        raise ConversationNotFound("there is no such chat here: it was deleted, or is another's")
    return row


def list_conversations(
    connection: Connection, owner: str, limit: int, after: Cursor | None, *, deleted: bool
) -> Page:
    """Return a page of the conversations of `owner`, pinned ones first, then the newest."""
    c = conversations.c
    query = (
        select(conversations)
        .where(c.owner == owner, c.deleted.is_not(None) if deleted else c.deleted.is_(None))
        .order_by(c.pinned.desc(), c.updated.desc(), c.number.desc())
        .limit(limit + 1)
    )
    if after is not None:
        number = select(c.number).where(c.id == after.id).scalar_subquery()
        behind = and_(
            c.pinned.is_(after.pinned),
            tuple_(c.updated, c.number) < tuple_(after.updated, number),
        )
        query = query.where(or_(behind, c.pinned.is_(False)) if after.pinned else behind)
    rows = connection.execute(query).all()
    items = tuple(info_of(row) for row in rows[:limit])
    more = Cursor(items[-1].pinned, items[-1].updated, items[-1].id) if rows[limit:] else None
    return Page(items, more)


def load_conversation(connection: Connection, row: Row[Any], now: int) -> SavedConversation:
    """Return the conversation of a row of `conversations`, with replies in progress so far.

    A run that was given up by `now` is `interrupted`, though nobody may have written so yet.
    Raises StoreDamaged for rows that no version of glasschat has written.
    """
    try:
        return SavedConversation(
            id=row.id,
            title=row.title,
            pinned=row.pinned,
            created=row.created,
            updated=row.updated,
            system=row.system,
            params=unpack_params(row.params),
            tree=_tree(connection, row, now),
        )
    except (InvalidMessage, ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(
            "this chat is damaged, what is stored of it makes no sense ({error}): put a backup "
            "of the store in its place; other chats are not harmed",
            error=error,
        ) from error


def text_with_chunks(connection: Connection, turn: int) -> tuple[str, tuple[int, ...] | None]:
    """Return the text and ids of one turn with the chunks of its unfinished run."""
    row = connection.execute(select(turns).where(turns.c.number == turn)).one()
    more = connection.execute(
        select(chunks.c.text, chunks.c.ids)
        .join(runs, runs.c.number == chunks.c.run)
        .where(runs.c.turn == turn)
        .order_by(runs.c.place, chunks.c.place)
    ).all()
    ids = None if row.ids is None else unpack_ids(row.ids)
    return _append_chunks(row.text, ids, more)


def _append_chunks(text: str, ids: tuple[int, ...] | None, more: Any) -> tuple[str, Any]:
    joined = text + "".join(chunk.text for chunk in more)
    if ids is not None:
        ids += tuple(i for chunk in more for i in unpack_ids(chunk.ids))
    return joined, ids


def _tree(connection: Connection, row: Row[Any], now: int) -> Tree:
    here = turns.c.conversation == row.number
    turn_rows = connection.execute(select(turns).where(here).order_by(turns.c.number)).all()
    runs_of: dict[int, list[Run]] = {}
    for run in connection.execute(
        select(runs)
        .join(turns, turns.c.number == runs.c.turn)
        .where(here)
        .order_by(runs.c.turn, runs.c.place)
    ):
        read = unpack_run(run)
        if read.ending is None and is_abandoned(run.writer, run.heartbeat, now):
            read = replace(read, ending=Ending.INTERRUPTED)
        runs_of.setdefault(run.turn, []).append(read)
    chunks_of: dict[int, list[Any]] = {}
    for chunk in connection.execute(
        select(runs.c.turn, chunks.c.text, chunks.c.ids)
        .join(runs, runs.c.number == chunks.c.run)
        .join(turns, turns.c.number == runs.c.turn)
        .where(here)
        .order_by(runs.c.turn, runs.c.place, chunks.c.place)
    ):
        chunks_of.setdefault(chunk.turn, []).append(chunk)
    id_of = {turn.number: turn.id for turn in turn_rows}
    nodes = []
    for turn in turn_rows:
        node = _node(turn, None if turn.parent is None else id_of[turn.parent])
        text, ids = _append_chunks(node.text, node.ids, chunks_of.get(turn.number, []))
        runs_here = tuple(runs_of.get(turn.number, ()))
        nodes.append(replace(node, text=text, ids=ids, runs=runs_here))
    chosen: dict[str | None, str] = {turn.id: turn.chosen for turn in turn_rows if turn.chosen}
    if row.chosen:
        chosen[None] = row.chosen
    return Tree(tuple(nodes), chosen)


def _node(turn: Row[Any], parent: str | None) -> Node:
    return Node(
        id=turn.id,
        parent=parent,
        role=turn.role,
        text=turn.text,
        ids=None if turn.ids is None else unpack_ids(turn.ids),
        created=turn.created,
        deleted=turn.deleted is not None,
    )
