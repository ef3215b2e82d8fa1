"""A reply as its watchers see it, whatever writes it: an engine in this process or a remote server.

The writer holds a `ReplyProgress` and changes it. Watchers hold a `Reply` and read it.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

from glasschat.errors import ReplyFailed
from glasschat.messages import Message
from glasschat.prompt import ChatMessage
from glasschat.sampling import StepRecord


class State(StrEnum):
    """Phase of a reply, from the queue to its end."""

    QUEUED = "queued"
    PREFILLING = "prefilling"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


class FinishReason(StrEnum):
    """Why a reply ended. Assigned once."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"


class Token(Protocol):
    """A token of a reply, whoever wrote it."""

    @property
    def text(self) -> str:
        """Return the text it released; empty where a character or a stop string is incomplete."""

    @property
    def token_id(self) -> int | None:
        """Return its id; None where only texts are known."""

    @property
    def record(self) -> StepRecord | None:
        """Return how it was chosen, where that was recorded."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of a reply: its id, the text that it released, how it was chosen."""

    token_id: int
    text: str
    record: StepRecord | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` of the prompt came from the KV cache and were not computed."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds and tokens per second; None where there was nothing to measure.

    `ttft_s` runs from submission to the first token and includes the time in the queue.
    `prefill_tps` counts the prompt tokens that were computed, `decode_tps` the tokens after the
    first.
    """

    ttft_s: float | None
    prefill_tps: float | None
    decode_tps: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a reply at one moment.

    `queue_position` is 1 for the next to be admitted, 0 when not queued. `prefilled` counts the
    prompt tokens in the KV cache, those found there included. `seed` is the one in use; it is
    drawn at random where none was given.
    """

    version: int
    state: State
    queue_position: int
    prefilled: int
    usage: Usage
    text: str
    finish_reason: FinishReason | None
    error: Message | None
    timings: Timings
    seed: int | None


class ReplyClock:
    """Times of the events of one reply, in seconds of `time.perf_counter`; None until they happen.

    The writer's thread alone sets them, each once except `last_at`.
    """

    __slots__ = ("admitted_at", "ended_at", "first_at", "last_at", "submitted_at")

    def __init__(self) -> None:
        self.submitted_at = time.perf_counter()
        self.admitted_at: float | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.ended_at: float | None = None

    def mark_admitted(self) -> None:
        """Record that a slot was found."""
        self.admitted_at = time.perf_counter()

    def mark_token(self) -> bool:
        """Record that a token has come; return whether it is the first."""
        self.last_at = time.perf_counter()
        is_first = self.first_at is None
        if is_first:
            self.first_at = self.last_at
        return is_first

    def mark_ended(self) -> None:
        """Record that the reply has ended."""
        self.ended_at = time.perf_counter()

    def timings(self, computed: int, tokens: int) -> Timings:
        """Return the timings of a reply of `tokens` tokens.

        `computed` is the number of prompt tokens that were not in the cache.
        """
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
    """The prompt of a reply, as far as every writer of replies knows it."""

    @property
    def tokens(self) -> int:
        """Return how many tokens the model reads."""

    @property
    def counted(self) -> bool:
        """Return whether `tokens` was counted by the model's own tokenizer, not estimated."""

    @property
    def left_out(self) -> tuple[int, ...]:
        """Return the indices of the messages that the context does not hold."""


class ReplyProgress:
    """Mutable state of one reply, for the side that writes it.

    Hold `changed` to read several fields at one moment, and around every change. `publish` and
    `end` wake the watchers; call them with `changed` held.
    """

    def __init__(self) -> None:
        self.clock = ReplyClock()
        self.changed = threading.Condition()
        # Separate from `changed`: a watcher that waits for the end only is not woken for every
        # token, which would make the engine's thread wait for the interpreter each time.
        self.ended = threading.Event()
        self.version = 0
        self.state = State.QUEUED
        self.finish_reason: FinishReason | None = None
        self.error: Message | None = None
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._text = ""
        self._new_text: list[str] = []

    def add_text(self, text: str) -> None:
        """Append to the reply's text."""
        if text:
            self._new_text.append(text)

    @property
    def text(self) -> str:
        """Return the whole text so far."""
        # Only what is new is joined, so that watching costs a constant amount per token.
        if self._new_text:
            self._text += "".join(self._new_text)
            self._new_text.clear()
        return self._text

    def publish(self) -> None:
        """Count a new version, wake the waiting watchers and call the listeners."""
        self.version += 1
        self.changed.notify_all()
        for callback in self._listeners:
            callback()

    def end(self, reason: FinishReason, error: Message | None) -> None:
        """Set the finish reason and wake every watcher."""
        self.finish_reason = reason
        self.error = error
        self.state = State.FINISHED
        self.clock.mark_ended()
        self.publish()
        self.ended.set()

    def add_listener(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called at every change; return a function that ends this."""
        with self.changed:
            self._listeners = (*self._listeners, callback)

        def unsubscribe() -> None:
            with self.changed:
                self._listeners = tuple(other for other in self._listeners if other is not callback)

        return unsubscribe


class Reply(ABC):
    """A reply in flight or finished, for its watchers. Safe to use from any thread.

    The reply goes on without any watcher.
    """

    def __init__(self, progress: ReplyProgress) -> None:
        self.id = uuid4().hex
        self._progress = progress

    @property
    @abstractmethod
    def prompt(self) -> ReplyPrompt:
        """Return the prompt that the reply answers."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return the state of the reply at this moment."""

    @abstractmethod
    def steps(self, start: int = 0) -> Sequence[Token]:
        """Return the tokens from number `start` on; their joined texts are the reply's so far."""

    @abstractmethod
    def message(self) -> ChatMessage:
        """Return the reply as a turn of the conversation; of a continued one, the new part."""

    @abstractmethod
    def cancel(self) -> None:
        """End the reply as soon as possible; what has been written stays."""

    @property
    def clock(self) -> ReplyClock:
        """Return the times of the reply's events."""
        return self._progress.clock

    @property
    def finished(self) -> bool:
        """Return whether the reply has ended, for whatever reason."""
        return self._progress.state is State.FINISHED

    def wait_for_end(self, timeout: float | None = None) -> bool:
        """Wait until the reply has ended; return False after `timeout` seconds."""
        return self._progress.ended.wait(timeout)

    def deltas(self) -> Iterator[str]:
        """Yield the text as it comes, until the reply ends; joined, it is the whole text."""
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
        """Wait for the end and return the last snapshot.

        Raises ReplyFailed if the reply went wrong, TimeoutError after `timeout` seconds.
        """
        if not self.wait_for_end(timeout):
            raise TimeoutError(f"the reply did not end within {timeout} s")
        snapshot = self.snapshot()
        if snapshot.finish_reason is FinishReason.ERROR:
            raise ReplyFailed(snapshot.error or Message("the reply failed"))
        return snapshot

    def wait_for_change(self, version: int, timeout: float | None = None) -> bool:
        """Wait until the reply's version is not `version`; return False after `timeout` seconds."""
        with self._progress.changed:
            return self._progress.changed.wait_for(
                lambda: self._progress.version != version, timeout
            )

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called at every change; return a function that ends this.

        The writer's thread calls it, and every reply waits meanwhile: wake a thread, and no more.
        """
        return self._progress.add_listener(callback)
