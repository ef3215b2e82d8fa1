"""Cache of traces in front of the store: the newest in memory, least recently used first out."""

import threading
from collections import OrderedDict
from itertools import zip_longest

from glasschat.chat.node import Node
from glasschat.chat.store import Store
from glasschat.engine import Generation, Reply
from glasschat.errors import ConversationNotFound, StoreConflict
from glasschat.glass import RemoteTrace, Trace

MOST_TOKENS = 50_000
"""Tokens whose records stay in memory, at some 800 bytes each; without a store all there are."""

PROMPT_SHARE = 20
"""Ids of a prompt that take as much memory as one record."""

Key = tuple[str, str, int]


class TraceCache:
    """Traces by conversation, reply and run. Safe to use from any thread.

    Those that were read or updated last stay in memory, `most` tokens of them. A trace in memory
    is used only if it has all the tokens that its run has: a reply may have gone on in another
    process.
    """

    def __init__(self, store: Store | None = None, *, most: int = MOST_TOKENS) -> None:
        self._store = store
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, Trace | RemoteTrace] = OrderedDict()
        self._tokens = 0

    def update(self, conversation_id: str, node: Node, reply: Reply) -> Trace | None:
        """Bring the trace of a reply's last run up to date and return it; costs what is new of it.

        None for a reply without records, such as one that another server writes.
        """
        key = (conversation_id, node.id, len(node.runs) - 1)
        if not isinstance(reply, Generation):
            if (remote := RemoteTrace.of(reply.steps())) is not None:
                self._hold(key, remote)
            return None
        known = self._get_trace(key)
        trace = Trace.of(reply) if known is None else known.extend(reply)
        if trace is not None:
            self._hold(key, trace)
        return trace

    def traces(
        self, owner: str, conversation_id: str, node: Node, runs: int
    ) -> tuple[Trace | None, ...]:
        """Return the traces of a reply's first `runs` runs, None where nothing is kept.

        Of a run that another process is writing there is what the store has. Raises StoreError.
        """
        keys = [(conversation_id, node.id, place) for place in range(runs)]
        found = [
            trace if trace is not None and len(trace) == tokens_of(node, place) else None
            for place, trace in enumerate(map(self._get_trace, keys))
        ]
        if self._store is None or None not in found:
            return tuple(found)
        try:
            stored = self._store.traces(owner, conversation_id, node.id)
        except (ConversationNotFound, StoreConflict):
            return tuple(found)  # Not stored yet, or not any more.
        for place, trace in enumerate(stored[:runs]):
            if found[place] is None and trace is not None:
                found[place] = trace
                if len(trace) == tokens_of(node, place):
                    self._hold(keys[place], trace)
        return tuple(found)

    def remote_traces(
        self, owner: str, conversation_id: str, node: Node
    ) -> tuple[RemoteTrace | None, ...]:
        """Return what another server told of each run, None where none did. Raises StoreError."""
        places = range(len(node.runs))
        held = [self._get((conversation_id, node.id, place)) for place in places]
        found = [trace if isinstance(trace, RemoteTrace) else None for trace in held]
        # A run that was written here is held as a trace: no server told of it.
        if self._store is None or all(held):
            return tuple(found)
        try:
            stored = self._store.remote_traces(owner, conversation_id, node.id)
        except (ConversationNotFound, StoreConflict):
            return tuple(found)  # Not stored yet, or not any more.
        pairs = zip_longest(found, stored[: len(found)])
        return tuple(held if held is not None else stored for held, stored in pairs)

    def put(self, conversation_id: str, turn: str, trace: Trace) -> None:
        """Hold the trace of a reply's first run, as an import brings it."""
        self._hold((conversation_id, turn, 0), trace)

    def copy_to_branch(self, conversation_id: str, source: str, branch: Node) -> None:
        """Give a branch what is in memory of the reply `source` that it leaves."""
        for place in range(len(branch.runs) - 1):
            trace = self._get_trace((conversation_id, source, place))
            tokens = tokens_of(branch, place)
            if trace is not None and len(trace) >= tokens:
                self._hold((conversation_id, branch.id, place), trace.part(0, tokens))

    def _get_trace(self, key: Key) -> Trace | None:
        found = self._get(key)
        return found if isinstance(found, Trace) else None

    def _get(self, key: Key) -> Trace | RemoteTrace | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def _hold(self, key: Key, trace: Trace | RemoteTrace) -> None:
        """Hold a trace as the newest and drop the oldest; the newest stays, however long it is."""
        with self._lock:
            old = self._held.pop(key, None)
            self._tokens += _size(trace) - (_size(old) if old else 0)
            self._held[key] = trace
            while self._tokens > self._most and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                self._tokens -= _size(dropped)


def tokens_of(node: Node, place: int) -> int:
    """Return how many tokens the run number `place` of a reply has, as far as that is known."""
    run = node.runs[place]
    if run.usage.completion_tokens:
        return run.usage.completion_tokens
    # Of a run that a crash cut off there are no figures.
    following = [other.first_token for other in node.runs[place + 1 :]]
    return (following or [len(node.ids or ())])[0] - run.first_token


def _size(trace: Trace | RemoteTrace) -> int:
    """Return how much of the cache a trace takes, counted in records of tokens."""
    if isinstance(trace, RemoteTrace):
        # Twenty candidates as objects of their own take more than 64 in an array.
        return 4 * len(trace)
    return len(trace) + len(trace.prompt.ids) // PROMPT_SHARE
