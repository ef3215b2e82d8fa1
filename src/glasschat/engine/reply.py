"""A reply as whoever watches it sees it, whatever writes it: an engine here, a server elsewhere."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from uuid import uuid4

from glasschat.engine.snapshot import FinishReason, Snapshot, State, Timings, Token
from glasschat.errors import ReplyFailed
from glasschat.prompt import ChatMessage


class ReplyClock:
    """The moments of one reply, in seconds of `time.perf_counter`; None for those to come.

    The engine's thread alone sets them, each once but the last token's.
    """

    __slots__ = ("admitted_at", "ended_at", "first_at", "last_at", "submitted_at")

    def __init__(self) -> None:
        self.submitted_at = time.perf_counter()
        self.admitted_at: float | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.ended_at: float | None = None

    def admitted(self) -> None:
        """A slot was found."""
        self.admitted_at = time.perf_counter()

    def token(self) -> bool:
        """A token has come; whether it is the first."""
        self.last_at = time.perf_counter()
        is_first = self.first_at is None
        if is_first:
            self.first_at = self.last_at
        return is_first

    def ended(self) -> None:
        """Nothing more will come."""
        self.ended_at = time.perf_counter()

    def timings(self, computed: int, tokens: int) -> Timings:
        """The figures of a reply of `tokens`, for which `computed` ids of the prompt were run."""
        first, last, admitted = self.first_at, self.last_at, self.admitted_at
        if first is None or last is None or admitted is None:
            return Timings(None, None, None)
        more = tokens - 1
        return Timings(
            ttft_s=first - self.submitted_at,
            prefill_tps=computed / (first - admitted) if first > admitted else None,
            decode_tps=more / (last - first) if more and last > first else None,
        )


class ReplyPrompt(Protocol):
    """What a reply answers, as far as everybody who writes replies knows it."""

    @property
    def tokens(self) -> int:
        """How many tokens the model reads."""

    @property
    def counted(self) -> bool:
        """Whether they were counted, by the model's own tokenizer, and not estimated."""

    @property
    def left_out(self) -> tuple[int, ...]:
        """The messages, by their indices, that the context does not hold."""


class Reply(ABC):
    """A reply in flight or finished. Safe to use from any thread, by any number of watchers.

    None of them is needed for the reply to go on. Whoever writes it alone calls the methods whose
    names begin with an underscore.
    """

    def __init__(self) -> None:
        self.id = uuid4().hex
        self.clock = ReplyClock()
        self._changed = threading.Condition()
        # Apart from `_changed`: who waits for the end only is not woken for every token, which
        # would make the engine's thread wait for the interpreter each time.
        self._ended = threading.Event()
        self._version = 0
        self._told: tuple[Callable[[], None], ...] = ()
        self._state = State.QUEUED
        self._text = ""
        self._new_text: list[str] = []
        self._finish_reason: FinishReason | None = None
        self._error: str | None = None

    @property
    @abstractmethod
    def prompt(self) -> ReplyPrompt:
        """What it answers."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Everything there is to know of the reply now."""

    @abstractmethod
    def steps(self, start: int = 0) -> Sequence[Token]:
        """The tokens from number `start` on; joined, their texts are the reply's so far."""

    @abstractmethod
    def message(self) -> ChatMessage:
        """The reply as a turn of the conversation; of one that was continued, what came now."""

    @abstractmethod
    def cancel(self) -> None:
        """End the reply as soon as possible; what is there stays."""

    # --- watching -------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the reply has ended, for whatever reason."""
        return self._state is State.FINISHED

    def wait_for_end(self, timeout: float | None = None) -> bool:
        """Sleep until the reply has ended; False when time ran out."""
        return self._ended.wait(timeout)

    def deltas(self) -> Iterator[str]:
        """The text as it comes, until the reply ends; joined, it is the whole text."""
        seen = 0
        while True:
            snapshot = self.snapshot()
            if len(snapshot.text) > seen:
                yield snapshot.text[seen:]
                seen = len(snapshot.text)
            if snapshot.state is State.FINISHED:
                return
            self.wait_for_change(snapshot.version)

    def result(self, timeout: float | None = None) -> Snapshot:
        """Wait for the end. Raises ReplyFailed if the reply went wrong, TimeoutError in time."""
        if not self.wait_for_end(timeout):
            raise TimeoutError(f"the reply did not end within {timeout} s")
        snapshot = self.snapshot()
        if snapshot.finish_reason is FinishReason.ERROR:
            raise ReplyFailed(snapshot.error)
        return snapshot

    def wait_for_change(self, version: int, timeout: float | None = None) -> bool:
        """Sleep until the reply differs from what `version` saw; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: self._version != version, timeout)

    def on_change(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Have `tell` called at every change from now on; call what comes back to end that.

        It is the writer's thread that calls, and every reply waits meanwhile: wake, and no more.
        """
        with self._changed:
            self._told = (*self._told, tell)

        def no_more() -> None:
            with self._changed:
                self._told = tuple(other for other in self._told if other is not tell)

        return no_more

    # --- the writer's side ----------------------------------------------------------------

    def _publish(self) -> None:
        self._version += 1
        self._changed.notify_all()
        for tell in self._told:
            tell()

    def _joined_text(self) -> str:
        # Only what is new is joined, so that watching costs a constant amount per token.
        if self._new_text:
            self._text += "".join(self._new_text)
            self._new_text.clear()
        return self._text

    def _end(self, reason: FinishReason, error: str | None) -> None:
        """Assign how it ended, and tell everybody; the lock is held."""
        self._finish_reason = reason
        self._error = error
        self._state = State.FINISHED
        self.clock.ended()
        self._publish()
        self._ended.set()
