"""A conversation that is open in this process: what it is, and all of its changes but replies."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from glasschat.chat.node import now_ms
from glasschat.chat.partial_reply import merge_progress
from glasschat.chat.saved import ConversationInfo, SavedConversation
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.store.outbox import Outbox
from glasschat.chat.trace_cache import TraceCache
from glasschat.chat.tree import Tree
from glasschat.engine import Reply
from glasschat.errors import ConversationNotFound
from glasschat.glass import RemoteTrace, Trace


class OpenTree:
    """The tree of a conversation with its replies on their way. Safe to use from any thread.

    What changes is kept in the store at once.
    """

    def __init__(
        self,
        owner: str,
        outbox: Outbox,
        saved: SavedConversation | None = None,
        *,
        revision: int = 0,
        shelf: TraceCache | None = None,
    ) -> None:
        self.owner = owner
        self.outbox = outbox
        self._shelf = shelf or TraceCache()
        self.watched_at = time.monotonic()
        self._lock = threading.RLock()
        self._new = saved is None
        self._saved = saved or SavedConversation(created=now_ms(), updated=now_ms())
        self._growing: dict[str, Reply] = {}
        self._unkept: set[str] = set()
        self._stop_unwatched: set[str] = set()
        self.revision = revision

    # --- looking --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Unguessable, and part of its address."""
        return self._saved.id

    @property
    def saved(self) -> SavedConversation:
        """All of it as it is now; of a reply on its way what was there when it began."""
        with self._lock:
            self._settle()
            return self._saved

    @property
    def tree(self) -> Tree:
        """Its turns."""
        return self.saved.tree

    @property
    def growing(self) -> Mapping[str, Reply]:
        """The replies on their way in this process, by the ids of their turns."""
        with self._lock:
            self._settle()
            return dict(self._growing)

    @property
    def generation(self) -> Reply | None:
        """The reply on its way at the end of the open path."""
        last = self.tree.last
        return self._growing.get(last.id) if last else None

    @property
    def whole(self) -> SavedConversation:
        """As `saved`, with replies on their way as far as they have come: for an export."""
        with self._lock:
            tree = self.tree
            for node_id, generation in self._growing.items():
                tree = tree.put(merge_progress(tree[node_id], generation))
            return replace(self._saved, tree=tree)

    @property
    def info(self) -> ConversationInfo:
        """Its line of the list."""
        saved = self.saved
        return ConversationInfo(
            saved.id, saved.title, saved.pinned, saved.created, saved.updated, None, self.revision
        )

    def traces(self, node_id: str) -> tuple[Trace | None, ...]:
        """How the tokens of a reply were chosen, one for each of its runs.

        Of a reply on its way as far as it has come; None where nothing is kept. Raises StoreError,
        InvalidMessage for a turn that is not here.
        """
        with self._lock:
            reply = self.tree[node_id]
            generation = self._growing.get(node_id)
            live: list[Trace | None] = []
            if generation is not None:
                live.append(self._shelf.grown(self.id, reply, generation))
        ended = len(reply.runs) - len(live)
        return (*self._shelf.of(self.owner, self.id, reply, ended), *live)

    def told(self, node_id: str) -> tuple[RemoteTrace | None, ...]:
        """What another server told of the tokens of a reply, one for each of its runs.

        As `traces`; None for a run that was written here.
        """
        with self._lock:
            reply = self.tree[node_id]
            if (generation := self._growing.get(node_id)) is not None:
                self._shelf.grown(self.id, reply, generation)
        return self._shelf.told(self.owner, self.id, reply)

    def watched(self) -> None:
        """Somebody is looking: a reply that ends with its last watcher may go on."""
        self.watched_at = time.monotonic()

    def stop(self) -> None:
        """End the replies on their way and keep what is there of them."""
        for generation in self.growing.values():
            generation.cancel()

    def stop_unwatched(self, before: float) -> None:
        """Stop what was to end with its last watcher, if nobody has looked since `before`."""
        with self._lock:
            if self.watched_at < before:
                for node_id in self._stop_unwatched & self._growing.keys():
                    self._growing[node_id].cancel()

    # --- other changes --------------------------------------------------------------------

    def select(self, node_id: str) -> None:
        """Lead the open path through that turn. Raises InvalidMessage."""
        with self._changing():
            self._put(self.tree.select(node_id))
            self.outbox.enqueue(lambda store, _: store.select(self.owner, self.id, node_id))

    def delete_branch(self, node_id: str) -> None:
        """Hide a turn and what is below it, replies on their way included."""
        with self._changing():
            for grown_id, generation in self.growing.items():
                if node_id in {node.id for node in self.tree.path_to(grown_id)}:
                    generation.cancel()
            self._put(self.tree.delete(node_id))
            self.outbox.enqueue(lambda store, _: store.delete_branch(self.owner, self.id, node_id))

    def restore_branch(self, node_id: str) -> None:
        """Undo `delete_branch`."""
        with self._changing():
            self._put(self.tree.restore(node_id))
            self.outbox.enqueue(lambda store, _: store.restore_branch(self.owner, self.id, node_id))

    def rename(self, title: str) -> None:
        """Give it another title."""
        title = " ".join(title.split())[:200]
        with self._changing():
            self._saved = replace(self._saved, title=title)
            self.outbox.enqueue(lambda store, _: store.rename(self.owner, self.id, title))

    def pin(self, pinned: bool) -> None:
        """Keep it at the head of the list, or no longer."""
        with self._changing():
            self._saved = replace(self._saved, pinned=pinned)
            self.outbox.enqueue(lambda store, _: store.pin(self.owner, self.id, pinned))

    def refresh(self, store: Store, writer: ReplyWriter) -> None:
        """Take in what another process has changed since. Raises StoreError."""
        with self._lock:
            self._settle()
            self._unkept = {g for g in self._unkept if writer.follows(g)}
            if self._new or self.outbox.waiting or self._growing or self._unkept:
                return
            before = self._saved
        info = store.info(self.owner, self.id)
        if info.deleted is not None:
            raise ConversationNotFound("this chat was deleted elsewhere")
        left = any(node.growing for node in before.tree.nodes)
        if info.revision == self.revision and not left:
            return
        now = store.load(self.owner, self.id)
        with self._lock:
            if self._saved is before:
                self._saved, self.revision = now, info.revision

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the conversation, and keep what changed once others may look at it again.

        A store can be slow, and whoever only wants to see a reply must not wait for that.
        """
        with self._lock:
            yield
        self.outbox.flush()

    def _put(self, tree: Tree) -> None:
        self._saved = replace(self._saved, tree=tree)

    def _settle(self) -> None:
        """Once a reply has ended, keep its text and figures and let its handle go."""
        for node_id, generation in list(self._growing.items()):
            if generation.finished:
                self._shelf.grown(self.id, self._saved.tree[node_id], generation)
                node = merge_progress(self._saved.tree[node_id], generation)
                self._put(self._saved.tree.put(node))
                del self._growing[node_id]
                self._stop_unwatched.discard(node_id)
