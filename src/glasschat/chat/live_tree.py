"""The turns of a conversation that is open in this process, with its replies in progress."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from glasschat.chat.node import Node, now_ms
from glasschat.chat.partial_reply import end_run, merge_progress
from glasschat.chat.reply_start import StartedReply
from glasschat.chat.saved import ConversationInfo, SavedConversation
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.store.outbox import Change, Outbox
from glasschat.chat.trace_cache import TraceCache
from glasschat.chat.tree import Tree, title_from
from glasschat.engine import Reply
from glasschat.errors import ConversationNotFound
from glasschat.glass import RemoteTrace, Trace


class LiveTree:
    """A conversation's state: its turns, the replies in progress, their traces, and the outbox.

    Safe to use from any thread. What changes goes to the store through the outbox. `revision` is
    the store's, as far as this process has seen it; `watched_at` is of `time.monotonic`.
    """

    def __init__(
        self,
        owner: str,
        outbox: Outbox,
        saved: SavedConversation | None = None,
        *,
        revision: int = 0,
        traces: TraceCache | None = None,
    ) -> None:
        self.owner = owner
        self.outbox = outbox
        self.revision = revision
        self.watched_at = time.monotonic()
        self._traces = traces or TraceCache()
        self._lock = threading.RLock()
        self._new = saved is None
        self._saved = saved or SavedConversation(created=now_ms(), updated=now_ms())
        self._running: dict[str, Reply] = {}
        self._unwritten: set[str] = set()
        self._stop_unwatched: set[str] = set()

    # --- looking --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The conversation's unguessable id, which is part of its address."""
        return self._saved.id

    @property
    def saved(self) -> SavedConversation:
        """The conversation as it is now; of a reply in progress what was there at its start."""
        with self._lock:
            self._collect_finished()
            return self._saved

    @property
    def tree(self) -> Tree:
        """Return the tree of turns as it is now."""
        return self.saved.tree

    @property
    def running(self) -> Mapping[str, Reply]:
        """The replies in progress in this process, by the ids of their turns."""
        with self._lock:
            self._collect_finished()
            return dict(self._running)

    @property
    def last_reply(self) -> Reply | None:
        """The reply in progress at the end of the open path, if there is one."""
        last = self.tree.last
        return self._running.get(last.id) if last else None

    @property
    def saved_with_progress(self) -> SavedConversation:
        """The conversation as `saved`, with replies in progress as far as they have come."""
        with self._lock:
            tree = self.tree
            for node_id, reply in self._running.items():
                tree = tree.put(merge_progress(tree[node_id], reply))
            return replace(self._saved, tree=tree)

    @property
    def info(self) -> ConversationInfo:
        """The conversation's line of the list."""
        saved = self.saved
        return ConversationInfo(
            saved.id, saved.title, saved.pinned, saved.created, saved.updated, None, self.revision
        )

    def reply_so_far(self, node_id: str) -> Node:
        """Return a turn; of a reply in progress what there is, as if it ended now.

        Raises InvalidMessage for a turn that is deleted or not here.
        """
        with self._lock:
            node = self.tree.select(node_id)[node_id]
            reply = self._running.get(node_id)
            if reply is None:
                return node
            snapshot = reply.snapshot()
            node = merge_progress(node, reply)
            return replace(node, runs=(*node.runs[:-1], end_run(node.runs[-1], snapshot)))

    def traces(self, node_id: str) -> tuple[Trace | None, ...]:
        """Return how the tokens of a reply were chosen, one trace for each of its runs.

        Of a reply in progress as far as it has come; None where nothing is kept. Raises
        StoreError, InvalidMessage for a turn that is not here.
        """
        with self._lock:
            node = self.tree[node_id]
            reply = self._running.get(node_id)
            live: list[Trace | None] = []
            if reply is not None:
                live.append(self._traces.update(self.id, node, reply))
        finished = len(node.runs) - len(live)
        return (*self._traces.traces(self.owner, self.id, node, finished), *live)

    def remote_traces(self, node_id: str) -> tuple[RemoteTrace | None, ...]:
        """Return what another server told of a reply's tokens, one trace for each of its runs.

        None for a run that was written here. Raises as `traces` does.
        """
        with self._lock:
            node = self.tree[node_id]
            if (reply := self._running.get(node_id)) is not None:
                self._traces.update(self.id, node, reply)
        return self._traces.remote_traces(self.owner, self.id, node)

    # --- changing -------------------------------------------------------------------------

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock for a change, and write it to the store after that.

        A store can be slow, and whoever only wants to see a reply must not wait for that.
        """
        with self._lock:
            yield
        self.outbox.flush()

    def update(self, change: Change, **fields: Any) -> None:
        """Change fields of `saved`, and enqueue the same change of the store.

        To be called under `changing`.
        """
        self._saved = replace(self._saved, **fields)
        self.outbox.enqueue(change)

    def add_replies(
        self,
        tree: Tree,
        started: Sequence[StartedReply],
        *,
        question: Node | None = None,
        branch_of: str | None = None,
    ) -> None:
        """Take in replies of `tree` that were started, in their order.

        The settings of the first are the conversation's from now on. `question` is the turn that
        was added with them, `branch_of` the id of the reply that they branch off. To be called
        under `changing`.
        """
        settings = started[0].settings
        before, is_new = self._saved, self._new
        for one in started:
            tree = tree.put(one.node)
            self._running[one.node.id] = one.reply
            self._unwritten.add(one.reply.id)
            if one.settings.stop_unwatched:
                self._stop_unwatched.add(one.node.id)
        title = before.title or title_from(node.text for node in tree.nodes if node.role == "user")
        self._saved = replace(
            before,
            tree=tree,
            title=title,
            system=settings.system,
            params=settings.params,
            updated=now_ms(),
        )
        self._new = False
        self.mark_watched()
        if branch_of is not None:
            if branch_of in self._running:
                self._traces.update(self.id, tree[branch_of], self._running[branch_of])
            for one in started:
                self._traces.copy_to_branch(self.id, branch_of, one.node)

        _enqueue_replies(
            self.outbox,
            self.owner,
            None if is_new else before,
            self._saved,
            started,
            question,
            branch_of,
        )

    def refresh(self, store: Store, writer: ReplyWriter) -> None:
        """Load what another process has changed since. Raises StoreError."""
        with self._lock:
            self._collect_finished()
            self._unwritten = {reply for reply in self._unwritten if writer.follows(reply)}
            if self._new or self.outbox.waiting or self._running or self._unwritten:
                return
            before = self._saved
        info = store.info(self.owner, self.id)
        if info.deleted is not None:
            raise ConversationNotFound("this chat was deleted elsewhere")
        unfinished = any(node.in_progress for node in before.tree.nodes)
        if info.revision == self.revision and not unfinished:
            return
        now = store.load(self.owner, self.id)
        with self._lock:
            if self._saved is before:
                self._saved, self.revision = now, info.revision

    # --- watching -------------------------------------------------------------------------

    def mark_watched(self) -> None:
        """Note that somebody is looking: a reply that ends with its last watcher may go on."""
        self.watched_at = time.monotonic()

    def stop(self) -> None:
        """End the replies in progress; what there is of them stays."""
        for reply in self.running.values():
            reply.cancel()

    def stop_unwatched(self, before: float) -> None:
        """End replies that end with their last watcher, if nobody has looked since `before`."""
        with self._lock:
            if self.watched_at < before:
                for node_id in self._stop_unwatched & self._running.keys():
                    self._running[node_id].cancel()

    def _collect_finished(self) -> None:
        """Take the text and figures of replies that have ended, and let their handles go."""
        for node_id, reply in list(self._running.items()):
            if reply.finished:
                node = self._saved.tree[node_id]
                self._traces.update(self.id, node, reply)
                tree = self._saved.tree.put(merge_progress(node, reply))
                self._saved = replace(self._saved, tree=tree)
                del self._running[node_id]
                self._stop_unwatched.discard(node_id)


def _enqueue_replies(
    outbox: Outbox,
    owner: str,
    before: SavedConversation | None,
    now: SavedConversation,
    started: Sequence[StartedReply],
    question: Node | None,
    branch_of: str | None,
) -> None:
    """Enqueue what the store has to know of replies that were started.

    `before` is the conversation without them, None for one that the store does not have yet. The
    changes are enqueued one by one: one that was written is not tried again with another that
    could not be.
    """
    system, params = now.system, now.params
    if before is None:
        empty = replace(now, tree=Tree(), title="")
        outbox.enqueue(lambda store, _: store.add(owner, empty))
    elif (system, params) != (before.system, before.params) and params is not None:
        outbox.enqueue(lambda store, _: store.set_system(owner, now.id, system))
        outbox.enqueue(lambda store, _: store.set_params(owner, now.id, params))

    def begin(one: StartedReply, store: Store, writer: ReplyWriter) -> None:
        if len(one.node.runs) > 1:
            # The run before, or the reply that this one branches off, may have just ended.
            writer.flush()
        stored = store.begin_reply(owner, now.id, one.node, question=question, branch_of=branch_of)
        writer.follow(stored, one.reply)

    for one in started:
        outbox.enqueue(partial(begin, one))
