"""Turns into the database: each change touches its own rows, so that two at once lose nothing."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from glasschat.chat.node import Node
from glasschat.chat.store.indexing import index_title, index_turn, index_turns, unindex_turns
from glasschat.chat.store.packing import pack_ids, run_columns
from glasschat.chat.store.schema import conversations, runs, turns
from glasschat.chat.tree import title_from
from glasschat.errors import StoreConflict


def touch(connection: Connection, number: int, now: int | None, **values: Any) -> None:
    """Note a change of the conversation; `now` makes it the newest of the list."""
    if now is not None:
        values["updated"] = now
    connection.execute(
        update(conversations)
        .where(conversations.c.number == number)
        .values(revision=conversations.c.revision + 1, **values)
    )


def turn_row(connection: Connection, conversation: int, turn_id: str) -> Row[Any]:
    """Return the row of that turn. Raises StoreConflict if there is none any more."""
    row = connection.execute(
        select(turns).where(turns.c.conversation == conversation, turns.c.id == turn_id)
    ).first()
    if row is None:
        raise StoreConflict("this turn is no longer there: load the chat again")
    return row


def add_turn(connection: Connection, conversation: Row[Any], node: Node) -> int:
    """Add a turn and open it; return its number. A reply in progress is indexed at its end."""
    parent = None
    if node.parent is not None:
        parent = turn_row(connection, conversation.number, node.parent).number
    number = insert_turn(connection, conversation.number, parent, node, None)
    _choose(connection, conversation.number, parent, node.id)
    if not node.in_progress:
        index_turn(connection, number, conversation.owner, node.text)
    return number


def insert_turn(
    connection: Connection, conversation: int, parent: int | None, node: Node, deleted: int | None
) -> int:
    """Insert the row of a turn; return its number."""
    return insert_row(
        connection,
        turns,
        conversation=conversation,
        id=node.id,
        parent=parent,
        role=node.role,
        text=node.text,
        ids=None if node.ids is None else pack_ids(node.ids),
        created=node.created,
        deleted=deleted,
    )


def add_run(
    connection: Connection, turn: int, place: int, node: Node, *, writer: str, now: int
) -> int:
    """Insert the row of a reply's run number `place`; return its number."""
    columns = run_columns(node.runs[place])
    return insert_row(
        connection, runs, turn=turn, place=place, writer=writer, heartbeat=now, **columns
    )


def title_for(conversation: Row[Any], node: Node) -> dict[str, str]:
    """Return the column for a title from the first user turn, where there is none yet."""
    if conversation.title or node.role != "user":
        return {}
    return {"title": title_from([node.text])}


def open_turn(connection: Connection, conversation: Row[Any], turn_id: str) -> None:
    """Lead the open path through that turn."""
    here = turns.alias()
    up = (
        select(turns.c.number, turns.c.parent, turns.c.id)
        .where(turns.c.conversation == conversation.number, turns.c.id == turn_id)
        .cte(recursive=True)
    )
    up = up.union_all(
        select(here.c.number, here.c.parent, here.c.id).join(up, here.c.number == up.c.parent)
    )
    above = turns.alias()
    rows = connection.execute(
        select(up.c.parent, up.c.id, above.c.chosen).join(
            above, above.c.number == up.c.parent, isouter=True
        )
    ).all()
    if not rows:
        raise StoreConflict("this turn is no longer there: load the chat again")
    for row in rows:
        if row.parent is None or row.chosen != row.id:
            _choose(connection, conversation.number, row.parent, row.id)


def mark_branch(
    connection: Connection, conversation: Row[Any], turn_id: str, deleted: int | None
) -> None:
    """Hide a branch since `deleted`, or show it again for None."""
    top = turn_row(connection, conversation.number, turn_id)
    connection.execute(update(turns).where(turns.c.number == top.number).values(deleted=deleted))
    branch = _visible_below(connection, top.number)
    unindex_turns(connection, [row.number for row in branch])
    if deleted is None:
        index_turns(connection, conversation.owner, [(row.number, row.text) for row in branch])


def _visible_below(connection: Connection, top: int) -> list[Row[Any]]:
    """Return the turn and all below it, without branches that were deleted separately."""
    down = select(turns.c.number).where(turns.c.number == top).cte(recursive=True)
    down = down.union_all(
        select(turns.c.number)
        .join(down, turns.c.parent == down.c.number)
        .where(turns.c.deleted.is_(None))
    )
    found = select(turns.c.number, turns.c.text).join(down, turns.c.number == down.c.number)
    return list(connection.execute(found))


def _choose(connection: Connection, conversation: int, parent: int | None, child: str) -> None:
    if parent is None:
        where = update(conversations).where(conversations.c.number == conversation)
    else:
        where = update(turns).where(turns.c.number == parent)
    connection.execute(where.values(chosen=child))


def insert_row(connection: Connection, table: Any, **values: Any) -> int:
    """Insert a row; return its number."""
    done = connection.execute(insert(table).values(**values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def touch_with_title(connection: Connection, row: Row[Any], node: Node, now: int) -> None:
    """Note the change by a new turn, and take the title from a first question."""
    title = title_for(row, node)
    touch(connection, row.number, now, **title)
    if title:
        index_title(connection, row.number, row.owner, title["title"])
