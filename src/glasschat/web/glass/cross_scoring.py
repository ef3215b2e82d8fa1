"""Cross-scoring: another model reads a reply, token by token, to tell how likely it was to it."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Node, score_reply
from glasschat.engine import Generation
from glasschat.errors import EngineError, EngineStopped, GlasschatError, InvalidMessage
from glasschat.glass import Trace
from glasschat.messages import Message
from glasschat.sampling import SamplingParams

MOST = 64
"""Results that are remembered, of all visitors together."""

Key = tuple[str, str, str]
"""The conversation, the turn, and the fingerprint of the model that reads."""


@dataclass(frozen=True, slots=True)
class CrossScore:
    """The progress of a model reading a reply.

    `progress` is the share of the tokens that it has read, in [0, 1]; at the end there is the
    trace, or the error.
    """

    progress: float
    trace: Trace | None = None
    error: Message | None = None


class CrossScorer:
    """Starts cross-scoring and remembers its results. Safe to use from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._running: OrderedDict[Key, Generation] = OrderedDict()
        self._done: OrderedDict[Key, CrossScore] = OrderedDict()

    def start(
        self, conversation: Conversation, node: Node, backend: LocalBackend, params: SamplingParams
    ) -> None:
        """Start reading, unless it is under way or done. Raises PromptError, EngineError."""
        key = _key(conversation, node, backend)
        with self._lock:
            done = self._done.get(key)
            if key in self._running or (done is not None and done.error is None):
                return
            if len(self._running) >= self._most:
                raise InvalidMessage("too many replies are being read: wait a moment")
            self._done.pop(key, None)
            reply = score_reply(backend, conversation.saved, node.id, params)
            assert isinstance(reply, Generation)
            self._running[key] = reply

    def find(
        self, conversation: Conversation, node: Node, backend: LocalBackend
    ) -> CrossScore | None:
        """Return the progress or the result; None where it was not started."""
        key = _key(conversation, node, backend)
        with self._lock:
            reply = self._running.get(key)
            if reply is None:
                return self._done.get(key)
            wanted = len(node.ids or ())
            if not reply.finished:
                return CrossScore(len(reply.steps()) / max(1, wanted))
            del self._running[key]
            found = self._done[key] = _result(reply, wanted)
            while len(self._done) > self._most:
                self._done.popitem(last=False)
            return found


def _result(reply: Generation, wanted: int) -> CrossScore:
    try:
        return CrossScore(1.0, _complete_trace(reply, wanted))
    except GlasschatError as error:
        return CrossScore(1.0, error=error.message)


def _complete_trace(reply: Generation, wanted: int) -> Trace:
    """Return the trace of all tokens. Raises EngineError, EngineStopped if it ended early."""
    trace = Trace.of(reply)
    if error := reply.snapshot().error:
        raise EngineError(error)
    if trace is None or len(trace) < wanted:
        raise EngineStopped("the model was stopped before it had read the reply")
    return trace


def _key(conversation: Conversation, node: Node, backend: LocalBackend) -> Key:
    return conversation.id, node.id, backend.describe().provenance.model_fingerprint
