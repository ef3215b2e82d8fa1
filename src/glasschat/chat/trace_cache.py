"""How replies were chosen, wherever that is: the newest in memory, all of them in the store."""

import threading
from collections import OrderedDict
from itertools import zip_longest

from glasschat.chat.node import Node
from glasschat.chat.store import Store
from glasschat.engine import Generation, Reply
from glasschat.errors import ConversationNotFound, StoreConflict
from glasschat.glass import RemoteTrace, Trace

MOST_TOKENS = 50_000
"""Tokens whose records stay in memory, at some 800 bytes each: without a store all there are."""

PROMPT_SHARE = 20
"""So many ids of a prompt take the room of one record."""

Key = tuple[str, str, int]


class TraceCache:
    """Traces by conversation, reply and run. Safe to use from any thread.

    Those that were looked at or have grown last stay in memory, `most` tokens of them. There a
    trace of all the tokens that its run has is trusted, and no other: a reply may have gone on in
    another process.
    """

    def __init__(self, store: Store | None = None, *, most: int = MOST_TOKENS) -> None:
        self._store = store
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, Trace | RemoteTrace] = OrderedDict()
        self._tokens = 0

    def grown(self, conversation_id: str, reply: Node, generation: Reply) -> Trace | None:
        """That of a reply's last run, as far as it has come; costs what is new of it."""
        key = (conversation_id, reply.id, len(reply.runs) - 1)
        if not isinstance(generation, Generation):
            if (told := RemoteTrace.of(generation.steps())) is not None:
                self._hold(key, told)
            return None
        known = self._trace(key)
        trace = Trace.of(generation) if known is None else known.extend(generation)
        if trace is not None:
            self._hold(key, trace)
        return trace

    def of(
        self, owner: str, conversation_id: str, reply: Node, runs: int
    ) -> tuple[Trace | None, ...]:
        """Those of the first `runs` runs, None where nothing is kept. Raises StoreError.

        Of a run that another process is writing there is what it has kept.
        """
        keys = [(conversation_id, reply.id, place) for place in range(runs)]
        found = [
            trace if trace is not None and len(trace) == tokens_of(reply, place) else None
            for place, trace in enumerate(map(self._trace, keys))
        ]
        if self._store is None or None not in found:
            return tuple(found)
        try:
            stored = self._store.traces(owner, conversation_id, reply.id)
        except (ConversationNotFound, StoreConflict):
            return tuple(found)  # not kept yet, or not any more
        for place, trace in enumerate(stored[:runs]):
            if found[place] is None and trace is not None:
                found[place] = trace
                if len(trace) == tokens_of(reply, place):
                    self._hold(keys[place], trace)
        return tuple(found)

    def put(self, conversation_id: str, turn: str, trace: Trace) -> None:
        """Keep that of a reply's first run, which comes from elsewhere."""
        self._hold((conversation_id, turn, 0), trace)

    def copy(self, conversation_id: str, source: str, branch: Node) -> None:
        """Give a branch what is in memory of the reply that it leaves."""
        for place in range(len(branch.runs) - 1):
            trace = self._trace((conversation_id, source, place))
            tokens = tokens_of(branch, place)
            if trace is not None and len(trace) >= tokens:
                self._hold((conversation_id, branch.id, place), trace.part(0, tokens))

    def told(self, owner: str, conversation_id: str, reply: Node) -> tuple[RemoteTrace | None, ...]:
        """What another server told of each run, None where none did. Raises StoreError."""
        places = range(len(reply.runs))
        held = [self._get((conversation_id, reply.id, place)) for place in places]
        found = [told if isinstance(told, RemoteTrace) else None for told in held]
        # A run of ours is held as a trace, and nothing was told of it.
        if self._store is None or all(held):
            return tuple(found)
        try:
            stored = self._store.told(owner, conversation_id, reply.id)
        except (ConversationNotFound, StoreConflict):
            return tuple(found)  # not kept yet, or not any more
        both = zip_longest(found, stored[: len(found)])
        return tuple(mine if mine is not None else theirs for mine, theirs in both)

    def _trace(self, key: Key) -> Trace | None:
        found = self._get(key)
        return found if isinstance(found, Trace) else None

    def _get(self, key: Key) -> Trace | RemoteTrace | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def _hold(self, key: Key, trace: Trace | RemoteTrace) -> None:
        """Put it in front; the newest stays, however long it is."""
        with self._lock:
            old = self._held.pop(key, None)
            self._tokens += _size(trace) - (_size(old) if old else 0)
            self._held[key] = trace
            while self._tokens > self._most and len(self._held) > 1:
                _, gone = self._held.popitem(last=False)
                self._tokens -= _size(gone)


def tokens_of(reply: Node, place: int) -> int:
    """How many tokens that run has, as far as its reply tells."""
    run = reply.runs[place]
    if run.usage.completion_tokens:
        return run.usage.completion_tokens
    # Of a run that a crash cut off there are no figures.
    following = [other.first_token for other in reply.runs[place + 1 :]]
    return (following or [len(reply.ids or ())])[0] - run.first_token


def _size(trace: Trace | RemoteTrace) -> int:
    if isinstance(trace, RemoteTrace):
        # Twenty candidates as objects of their own take more than 64 in an array.
        return 4 * len(trace)
    return len(trace) + len(trace.prompt.ids) // PROMPT_SHARE
