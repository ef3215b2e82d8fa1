"""The store of conversations: the interface for pages and commands.

Every method is one transaction; its errors are StoreError's, ConversationNotFound among them for
a conversation that is not the owner's. A method that changes one thing changes that row alone, so
that two pages, or two processes on one database, lose nothing of each other's.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from glasschat.chat.node import Node, now_ms
from glasschat.chat.presets import Preset
from glasschat.chat.presets_file import preset_as_json, preset_from_json
from glasschat.chat.saved import ConversationInfo, SavedConversation
from glasschat.chat.store import replies, turns
from glasschat.chat.store.adding import NO_TRACES, Traces, add_conversation, id_exists
from glasschat.chat.store.database import Database
from glasschat.chat.store.indexing import index_title, unindex_titles, unindex_turns
from glasschat.chat.store.liveness import is_abandoned, writer_name
from glasschat.chat.store.packing import pack_params
from glasschat.chat.store.reading import (
    Cursor,
    Page,
    find_owned,
    info_of,
    list_conversations,
    load_conversation,
)
from glasschat.chat.store.replies import StoredReply
from glasschat.chat.store.schema import conversations, presets
from glasschat.chat.store.schema import turns as turns_table
from glasschat.chat.store.searching import Hit, search_conversations
from glasschat.chat.store.trace_tables import load_remote_traces, load_traces
from glasschat.errors import StoreDamaged, StoreError
from glasschat.glass import RemoteTrace, Trace
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams


def load_presets(connection: Connection, owner: str) -> tuple[Preset, ...]:
    """Return all presets of the owner, by name. Raises StoreDamaged."""
    found = []
    for row in connection.execute(select(presets).where(presets.c.owner == owner)):
        try:
            found.append(preset_from_json(row.name, json.loads(row.params)))
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreDamaged(
                "the preset {name} is damaged, what is stored of it makes no sense ({error}): "
                "save another under that name",
                name=repr(row.name),
                error=error,
            ) from error
    return tuple(sorted(found, key=lambda preset: preset.name.casefold()))


def save_preset_row(connection: Connection, owner: str, preset: Preset) -> None:
    """Add the preset, or change the one of that name."""
    values: sqlite.Insert | postgresql.Insert = (
        sqlite.insert(presets)
        if connection.dialect.name == "sqlite"
        else postgresql.insert(presets)
    )
    text = json.dumps(preset_as_json(preset), separators=(",", ":"))
    connection.execute(
        values.values(owner=owner, name=preset.name, params=text).on_conflict_do_update(
            index_elements=[presets.c.owner, presets.c.name], set_={"params": text}
        )
    )


def delete_preset_row(connection: Connection, owner: str, name: str) -> None:
    """Delete the preset of that name, if there is one."""
    here = presets.c.owner == owner, presets.c.name == name
    connection.execute(delete(presets).where(*here))


LOCAL_OWNER = "local"
"""Who conversations belong to where nobody logs in."""


class Store:
    """All conversations of one database. Safe to use from any thread."""

    def __init__(self, database: Database, *, clock: Callable[[], int] = now_ms) -> None:
        self.database = database
        self._clock = clock
        self._writer = writer_name()

    @property
    def place(self) -> str:
        """The file's path, or the URL without its password."""
        return self.database.place

    def close(self) -> None:
        """Close all connections to the database. Raises StoreError."""
        self.database.close()

    # --- the list -------------------------------------------------------------------------

    def create(
        self, owner: str, *, system: str = "", params: SamplingParams | None = None
    ) -> ConversationInfo:
        """Create an empty conversation. Raises InvalidMessage as `set_system` does."""
        ChatMessage("system", system)
        now = self._clock()
        new = SavedConversation(system=system, params=params, created=now, updated=now)
        with self.database.write() as connection:
            return info_of(add_conversation(connection, owner, new, now))

    def conversations(
        self, owner: str, limit: int = 50, after: Cursor | None = None, *, deleted: bool = False
    ) -> Page:
        """Return a page of the list: pinned ones first, then by their last change, newest first."""
        with self.database.read() as connection:
            return list_conversations(connection, owner, limit, after, deleted=deleted)

    def search(self, owner: str, query: str, limit: int = 50) -> tuple[Hit, ...]:
        """Return the conversations with all words of the query in the title or in one turn."""
        with self.database.read() as connection:
            return search_conversations(connection, owner, query, limit)

    def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Give the conversation another title."""
        title = " ".join(title.encode(errors="replace").decode().split())[:200]
        with self._change(owner, conversation_id) as (connection, row):
            turns.touch(connection, row.number, None, title=title)
            index_title(connection, row.number, owner, title)

    def pin(self, owner: str, conversation_id: str, pinned: bool = True) -> None:
        """Keep the conversation at the head of the list, or no longer."""
        self._set(owner, conversation_id, pinned=pinned)

    def set_system(self, owner: str, conversation_id: str, system: str) -> None:
        """Give the conversation another system prompt. Raises InvalidMessage."""
        ChatMessage("system", system)
        self._set(owner, conversation_id, system=system)

    def set_params(self, owner: str, conversation_id: str, params: SamplingParams) -> None:
        """Give the conversation other settings."""
        self._set(owner, conversation_id, params=pack_params(params))

    def delete(self, owner: str, conversation_id: str) -> None:
        """Hide the conversation; `restore` undoes that until `clear_up`."""
        self._set(owner, conversation_id, deleted=self._clock())

    def restore(self, owner: str, conversation_id: str) -> None:
        """Show a deleted conversation again."""
        self._set(owner, conversation_id, deleted=None)

    def clear_up(self, before: int) -> int:
        """Remove for good what was deleted before that time; how many conversations that were."""
        with self.database.write() as connection:
            old = conversations.c.deleted < before
            numbers = list(connection.scalars(select(conversations.c.number).where(old)))
            here = select(turns_table.c.number).where(turns_table.c.conversation.in_(numbers))
            unindex_turns(connection, list(connection.scalars(here)))
            unindex_titles(connection, numbers)
            connection.execute(delete(conversations).where(conversations.c.number.in_(numbers)))
            # A branch's words are gone already; what is below it goes with it.
            connection.execute(delete(turns_table).where(turns_table.c.deleted < before))
            return len(numbers)

    # --- one conversation -----------------------------------------------------------------

    def info(self, owner: str, conversation_id: str) -> ConversationInfo:
        """Return the conversation's line of the list; cheap enough to call often."""
        with self.database.read() as connection:
            return info_of(find_owned(connection, owner, conversation_id))

    def load(self, owner: str, conversation_id: str) -> SavedConversation:
        """Return the whole conversation; a reply whose writer was killed is `interrupted`."""
        now = self._clock()
        with self.database.read() as connection:
            row = find_owned(connection, owner, conversation_id)
            left = replies.find_unfinished(connection, row.number)
            found = load_conversation(connection, row, now)
        if any(is_abandoned(run.writer, run.heartbeat, now) for run in left):
            # Where nothing can be written it is read all the same.
            with suppress(StoreError), self.database.write() as connection:
                replies.interrupt(connection, left, now)
        return found

    def add(
        self, owner: str, conversation: SavedConversation, traces: Traces = NO_TRACES
    ) -> ConversationInfo:
        """Add a whole conversation, as an import has it; under another id if its own is taken.

        A reply that was still growing where it came from is `interrupted` here. `traces` are of
        the first runs of replies, by the ids of their turns.
        """
        with self.database.write() as connection:
            if id_exists(connection, conversation.id):
                conversation = replace(conversation, id=token_urlsafe(16))
            return info_of(add_conversation(connection, owner, conversation, self._clock(), traces))

    def add_turn(self, owner: str, conversation_id: str, node: Node) -> None:
        """Add a user turn, or a reply from elsewhere, as its parent's newest child, and open it."""
        with self._change(owner, conversation_id) as (connection, row):
            turns.add_turn(connection, row, node)
            turns.touch_with_title(connection, row, node, self._clock())

    def select(self, owner: str, conversation_id: str, turn_id: str) -> None:
        """Lead the open path through that turn."""
        with self._change(owner, conversation_id) as (connection, row):
            turns.open_turn(connection, row, turn_id)
            turns.touch(connection, row.number, None)

    def delete_branch(self, owner: str, conversation_id: str, turn_id: str) -> None:
        """Hide a turn and what is below it; `restore_branch` undoes that until `clear_up`."""
        with self._change(owner, conversation_id) as (connection, row):
            turns.mark_branch(connection, row, turn_id, self._clock())
            turns.touch(connection, row.number, None)

    def restore_branch(self, owner: str, conversation_id: str, turn_id: str) -> None:
        """Show a deleted branch again."""
        with self._change(owner, conversation_id) as (connection, row):
            turns.mark_branch(connection, row, turn_id, None)
            turns.touch(connection, row.number, None)

    def traces(self, owner: str, conversation_id: str, turn_id: str) -> tuple[Trace | None, ...]:
        """Return how the tokens of each run of a reply were chosen, None where not recorded."""
        with self.database.read() as connection:
            return load_traces(connection, find_owned(connection, owner, conversation_id), turn_id)

    def remote_traces(
        self, owner: str, conversation_id: str, turn_id: str
    ) -> tuple[RemoteTrace | None, ...]:
        """Return what another server told of each run of a reply, None where none did."""
        with self.database.read() as connection:
            return load_remote_traces(
                connection, find_owned(connection, owner, conversation_id), turn_id
            )

    # --- growing replies; ReplyWriter does the rest ---------------------------------------

    def begin_reply(
        self,
        owner: str,
        conversation_id: str,
        reply: Node,
        *,
        question: Node | None = None,
        branch_of: str | None = None,
    ) -> StoredReply:
        """Store a reply, and the user turn `question` that it answers, before its first token.

        `reply` is as `Tree.reply` or `Tree.go_on` made it: its last run has no ending. Or it
        branches off the reply `branch_of`: the runs before its last then get a copy of that
        reply's traces, as far as these go in the branch.
        """
        with self._change(owner, conversation_id) as (connection, row):
            if question is not None:
                turns.add_turn(connection, row, question)
                turns.touch_with_title(connection, row, question, self._clock())
            now = self._clock()
            return replies.begin(connection, row, reply, branch_of, writer=self._writer, now=now)

    def interrupt_abandoned(self) -> None:
        """End every reply whose writer is no longer there."""
        with self.database.read() as connection:
            left = replies.find_unfinished(connection)
            if not any(is_abandoned(row.writer, row.heartbeat, self._clock()) for row in left):
                return
        with self.database.write() as connection:
            replies.interrupt(connection, left, self._clock())

    # --- presets of one's own -------------------------------------------------------------

    def presets(self, owner: str) -> tuple[Preset, ...]:
        """Return all presets of the owner, by name."""
        with self.database.read() as connection:
            return load_presets(connection, owner)

    def save_preset(self, owner: str, preset: Preset) -> None:
        """Store a preset, in the place of one of the same name."""
        with self.database.write() as connection:
            save_preset_row(connection, owner, preset)

    def delete_preset(self, owner: str, name: str) -> None:
        """Delete the owner's preset of that name; none is no error."""
        with self.database.write() as connection:
            delete_preset_row(connection, owner, name)

    @contextmanager
    def _change(self, owner: str, conversation_id: str) -> Iterator[tuple[Connection, Row[Any]]]:
        with self.database.write() as connection:
            yield connection, find_owned(connection, owner, conversation_id)

    def _set(self, owner: str, conversation_id: str, **values: Any) -> None:
        with self._change(owner, conversation_id) as (connection, row):
            turns.touch(connection, row.number, None, **values)
