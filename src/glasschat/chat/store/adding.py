"""Adds a whole conversation to the database, as an import or a copy brings it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from glasschat.chat.saved import SavedConversation
from glasschat.chat.store import replies
from glasschat.chat.store.indexing import index_title, index_turns
from glasschat.chat.store.packing import pack_params
from glasschat.chat.store.schema import conversations, turns
from glasschat.chat.store.trace_tables import insert_trace
from glasschat.chat.store.turns import add_run, insert_row, insert_turn
from glasschat.chat.tree import Tree
from glasschat.glass import Trace

NOBODY = "|0||"
Traces = Mapping[str, Trace]
NO_TRACES: Traces = MappingProxyType({})


def add_conversation(
    connection: Connection,
    owner: str,
    new: SavedConversation,
    now: int,
    traces: Traces = NO_TRACES,
) -> Row[Any]:
    """Add a conversation with all its turns; return the row of `conversations`.

    `now` is when deletions happened. `traces` are of the first runs of replies, by their turns.
    """
    number = insert_row(
        connection,
        conversations,
        id=new.id,
        owner=owner,
        title=new.title,
        pinned=new.pinned,
        created=new.created,
        updated=new.updated,
        deleted=None,
        system=new.system,
        params=pack_params(new.params),
        chosen=new.tree.chosen.get(None),
        revision=1,
    )
    index_title(connection, number, owner, new.title)
    _add_tree(connection, number, owner, new.tree, now, traces)
    # Nobody goes on writing what was still growing where it came from.
    replies.interrupt(connection, replies.find_unfinished(connection, number), now)
    return connection.execute(select(conversations).where(conversations.c.number == number)).one()


def id_exists(connection: Connection, conversation_id: str) -> bool:
    """Return whether there is a conversation of that id, of any owner."""
    query = select(conversations.c.number).where(conversations.c.id == conversation_id)
    return connection.execute(query).first() is not None


def _add_tree(
    connection: Connection,
    conversation: int,
    owner: str,
    tree: Tree,
    now: int,
    traces: Traces,
) -> None:
    numbers: dict[str | None, int | None] = {None: None}
    hidden: set[str | None] = set()
    found: list[tuple[int, str]] = []
    for node in tree.nodes:
        parent = numbers[node.parent]
        number = insert_turn(connection, conversation, parent, node, now if node.deleted else None)
        numbers[node.id] = number
        for place in range(len(node.runs)):
            run = add_run(connection, number, place, node, writer=NOBODY, now=0)
            if place == 0 and node.id in traces:
                insert_trace(connection, run, traces[node.id])
        if node.deleted or node.parent in hidden:
            hidden.add(node.id)
        elif not node.in_progress:
            found.append((number, node.text))
    index_turns(connection, owner, found)
    chosen = [
        {"at": numbers[parent], "child": child}
        for parent, child in tree.chosen.items()
        if parent is not None and parent in numbers
    ]
    if chosen:
        open_them = update(turns).where(turns.c.number == bindparam("at"))
        connection.execute(open_them.values(chosen=bindparam("child")), chosen)
