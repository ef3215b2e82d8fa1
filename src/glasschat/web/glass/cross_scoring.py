"""Replies that another model has read, token by token, to say how likely they were to it."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Node
from glasschat.engine import Generation
from glasschat.errors import EngineError, EngineStopped, GlasschatError, InvalidMessage
from glasschat.glass import Trace
from glasschat.sampling import SamplingParams

MOST = 64
"""Readings that are remembered, of all visitors."""

Key = tuple[str, str, str]
"""The conversation, the turn, and the fingerprint of the model that reads."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a model has come with a reply.

    `share` is between 0 and 1; at the end there is its trace, or the error.
    """

    share: float
    trace: Trace | None = None
    error: str | None = None


class Readings:
    """Starts them, and remembers what came of them. Safe to use from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._running: OrderedDict[Key, Generation] = OrderedDict()
        self._done: OrderedDict[Key, Reading] = OrderedDict()

    def start(
        self, conversation: Conversation, node: Node, backend: LocalBackend, params: SamplingParams
    ) -> None:
        """Have the model read it, unless it does or has. Raises PromptError, EngineError."""
        key = _key(conversation, node, backend)
        with self._lock:
            done = self._done.get(key)
            if key in self._running or (done is not None and done.error is None):
                return
            if len(self._running) >= self._most:
                raise InvalidMessage("too many replies are being read: wait a moment")
            self._done.pop(key, None)
            reply = conversation.reread(backend, node.id, params)
            assert isinstance(reply, Generation)
            self._running[key] = reply

    def find(self, conversation: Conversation, node: Node, backend: LocalBackend) -> Reading | None:
        """What there is of it; None where nobody has asked for it."""
        key = _key(conversation, node, backend)
        with self._lock:
            reply = self._running.get(key)
            if reply is None:
                return self._done.get(key)
            wanted = len(node.ids or ())
            if not reply.finished:
                return Reading(len(reply.steps()) / max(1, wanted))
            del self._running[key]
            found = self._done[key] = _outcome(reply, wanted)
            while len(self._done) > self._most:
                self._done.popitem(last=False)
            return found


def _outcome(reply: Generation, wanted: int) -> Reading:
    try:
        return Reading(1.0, _whole(reply, wanted))
    except GlasschatError as error:
        return Reading(1.0, error=str(error))


def _whole(reply: Generation, wanted: int) -> Trace:
    trace = Trace.of(reply)
    if error := reply.snapshot().error:
        raise EngineError(error)
    if trace is None or len(trace) < wanted:
        raise EngineStopped("the model was stopped before it had read the reply")
    return trace


def _key(conversation: Conversation, node: Node, backend: LocalBackend) -> Key:
    return conversation.id, node.id, backend.describe().provenance.model_fingerprint
