"""Library of all conversations: those open in this process, and those in the store."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from glasschat.chat.conversation import Conversation
from glasschat.chat.live_tree import LiveTree
from glasschat.chat.node import now_ms
from glasschat.chat.partial_reply import PartialReply
from glasschat.chat.saved import SavedConversation
from glasschat.chat.store import Cursor, Hit, Page, ReplyWriter, Store
from glasschat.chat.store.outbox import Outbox
from glasschat.chat.trace_cache import TraceCache
from glasschat.errors import ConversationNotFound, StoreError
from glasschat.glass import Trace

log = logging.getLogger(__name__)

KEEP_DELETED_MS = 30 * 24 * 3600 * 1000


class Library:
    """Conversations by their owners and unguessable ids. Safe to use from any thread.

    Without a store they last as long as the process; `trouble` is then why. Beyond `most` open
    conversations, the idle one that was least recently watched is closed, and lost where there is
    no store. A reply that is to stop with its last watcher is stopped `grace_s` seconds after
    anybody last watched it.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        trouble: StoreError | None = None,
        most: int = 1000,
        grace_s: float = 4.0,
    ) -> None:
        self._store = store
        self._writer = ReplyWriter(store) if store is not None else None
        self._traces = TraceCache(store)
        self._trouble = trouble
        self._most = most
        self._grace_s = grace_s
        self._lock = threading.RLock()
        self._open: dict[str, Conversation] = {}
        self._deleted: dict[str, Conversation] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def store(self) -> Store | None:
        """Return the store of conversations, None where there is none."""
        return self._store

    @property
    def trouble(self) -> StoreError | None:
        """Return why nothing is stored, or not the newest; None if everything is stored."""
        return self._trouble or (self._writer.trouble if self._writer else None)

    # --- one conversation -----------------------------------------------------------------

    def new(self, owner: str) -> Conversation:
        """Return a new, empty conversation; it is stored from its first question on."""
        outbox = Outbox(self._store, self._writer)
        conversation = Conversation(LiveTree(owner, outbox, traces=self._traces))
        return self._open_conversation(conversation)

    def find(self, owner: str, conversation_id: str) -> Conversation | None:
        """Return the owner's conversation as it is now, None if there is none with that id.

        Raises StoreError if it is not open in this process and the store cannot be read.
        """
        with self._lock:
            found = self._open.get(conversation_id)
        if found is not None and found.owner != owner:
            return None
        if self._store is None or self._writer is None:
            return found
        try:
            if found is not None:
                found.live.refresh(self._store, self._writer)
                return found
            info = self._store.info(owner, conversation_id)
            if info.deleted is not None:
                return None
            saved = self._store.load(owner, conversation_id)
        except ConversationNotFound:
            with self._lock:
                self._open.pop(conversation_id, None)
            return None
        except StoreError as error:
            log.error("conversations cannot be read: %s", error)
            if found is None:
                raise
            return found
        outbox = Outbox(self._store, self._writer)
        live = LiveTree(owner, outbox, saved, revision=info.revision, traces=self._traces)
        return self._open_conversation(Conversation(live))

    def add(
        self, owner: str, saved: SavedConversation, traces: Mapping[str, Trace] | None = None
    ) -> str:
        """Add an imported conversation; return its id. Raises StoreError.

        `traces` are of the first runs of replies, by the ids of their turns.
        """
        traces = traces or {}
        if self._store is not None:
            return self._store.add(owner, saved, traces).id
        for turn, trace in traces.items():
            self._traces.put(saved.id, turn, trace)
        live = LiveTree(owner, Outbox(None, None), saved, traces=self._traces)
        return self._open_conversation(Conversation(live)).id

    def reply(self, generation_id: str) -> PartialReply | None:
        """Return the running reply with this unguessable id, None if there is none."""
        with self._lock:
            conversations = list(self._open.values())
        for conversation in conversations:
            for node_id, generation in conversation.running.items():
                if generation.id == generation_id:
                    return PartialReply(conversation.tree[node_id], generation)
        return None

    # --- all of them ----------------------------------------------------------------------

    def page(self, owner: str, limit: int, after: Cursor | None = None) -> Page:
        """Return a page of the list, pinned and newest conversations first. Raises StoreError.

        Conversations that could not be stored yet come before all others.
        """
        with self._lock:
            owned = [c for c in self._open.values() if c.owner == owner]
        if self._store is None:
            started = (c.info for c in owned if c.tree.nodes)
            listed = sorted(started, key=lambda i: (i.pinned, i.updated))
            return Page(tuple(reversed(listed[-limit:])), None)
        page = self._store.conversations(owner, limit, after)
        if after is not None:
            return page
        pending = {c.id: c.info for c in owned if c.outbox.waiting}
        stored = (info for info in page.items if info.id not in pending)
        return replace(page, items=(*pending.values(), *stored))

    def writing(self, owner: str) -> frozenset[str]:
        """Return the ids of the conversations in which this process is writing a reply."""
        with self._lock:
            owned = [c for c in self._open.values() if c.owner == owner]
        return frozenset(conversation.id for conversation in owned if conversation.running)

    def search(self, owner: str, query: str, limit: int) -> tuple[Hit, ...]:
        """Return the conversations that contain all words of the query. Raises StoreError."""
        if self._store is not None:
            return self._store.search(owner, query, limit)
        words = query.casefold().split()
        hits = []
        for info in self.page(owner, self._most).items:
            tree = self._open[info.id].tree
            texts = [info.title, *(node.text for node in tree.nodes if tree.visible(node.id))]
            if words and any(all(word in text.casefold() for word in words) for text in texts):
                hits.append(Hit(info, None, ""))
        return tuple(hits[:limit])

    def delete(self, owner: str, conversation_id: str) -> None:
        """Stop a conversation's replies and hide it until `restore`. Raises StoreError."""
        with self._lock:
            found = self._open.get(conversation_id)
            if found is not None and found.owner == owner:
                found.stop()
                self._deleted[conversation_id] = self._open.pop(conversation_id)
        if self._store is not None:
            self._store.delete(owner, conversation_id)

    def restore(self, owner: str, conversation_id: str) -> None:
        """Bring a deleted conversation back. Raises StoreError."""
        if self._store is not None:
            self._store.restore(owner, conversation_id)
        with self._lock:
            found = self._deleted.get(conversation_id)
            if found is not None and found.owner == owner:
                self._open[conversation_id] = self._deleted.pop(conversation_id)

    # --- in the background ----------------------------------------------------------------

    def look_after(self) -> None:
        """Stop replies that nobody watches, and retry to store what could not be stored."""
        before = time.monotonic() - self._grace_s
        with self._lock:
            conversations = list(self._open.values())
        for conversation in conversations:
            conversation.live.stop_unwatched(before)
            if conversation.outbox.waiting:
                conversation.outbox.flush()

    def keep_watch(self, every_s: float = 0.5) -> None:
        """Call `look_after` in the background until `close`, after clearing old deletions.

        What was deleted more than KEEP_DELETED_MS ago is removed from the store.
        """

        def run() -> None:
            if self._store is not None:
                with suppress(StoreError):
                    self._store.clear_up(now_ms() - KEEP_DELETED_MS)
            while not self._closing.wait(every_s):
                try:
                    self.look_after()
                except Exception:
                    log.exception("conversations could not be looked after")

        self._thread = threading.Thread(target=run, name="glasschat-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Store what is pending and close the store."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self._store is None or self._writer is None:
            return
        with self._lock:
            conversations = list(self._open.values())
        for conversation in conversations:
            conversation.outbox.flush()
        try:
            self._writer.close()
        except StoreError as error:
            log.error("the last of the replies could not be kept: %s", error)
        self._store.close()

    def _open_conversation(self, conversation: Conversation) -> Conversation:
        """Register an open conversation; return the one that another thread registered first."""
        with self._lock:
            conversation = self._open.setdefault(conversation.id, conversation)
            if len(self._open) > self._most:
                idle = [c for c in self._open.values() if not c.running and not c.outbox.waiting]
                if idle:
                    del self._open[min(idle, key=lambda c: c.live.watched_at).id]
        return conversation
