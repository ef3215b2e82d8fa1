"""The handle on one reply: watch it, steer it, wait for its end."""

import threading
from collections.abc import Callable, Iterator
from uuid import uuid4

from glasschat.engine.clock import ReplyClock
from glasschat.engine.request import GenerationRequest
from glasschat.engine.signals import AT_ONCE, Beginning
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Usage
from glasschat.engine.steering import Steering
from glasschat.errors import ReplyFailed
from glasschat.prompt import ChatMessage, PromptEncoding


class Generation(Steering):
    """A reply in flight or finished. Safe to use from any thread, by any number of watchers.

    None of them is needed for the reply to go on. The engine alone calls the methods whose names
    begin with an underscore.
    """

    def __init__(
        self,
        request: GenerationRequest,
        wake_engine: Callable[[], None],
        beginning: Beginning = AT_ONCE,
    ) -> None:
        super().__init__(request.vocab_size, wake_engine, beginning)
        self.id = uuid4().hex
        self.request = request
        # Apart from `_changed`: who waits for the end only is not woken for every token, which
        # would make the engine's thread wait for the interpreter each time.
        self._ended = threading.Event()
        self._state = State.QUEUED
        self._queue_position = 0
        self._cached = 0
        self._prefilled = 0
        self._steps: list[Step] = []
        self._tail = ""
        self._text = ""
        self._text_steps = 0
        self._finish_reason: FinishReason | None = None
        self._error: str | None = None
        self._whole = True
        self._seed: int | None = None
        self.clock = ReplyClock()

    @property
    def prompt(self) -> PromptEncoding:
        """What the model reads."""
        return self.request.prompt

    # --- watching -------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the reply has ended, for whatever reason."""
        return self._state is State.FINISHED

    def snapshot(self) -> Snapshot:
        """Everything there is to know of the reply now."""
        with self._changed:
            return Snapshot(
                version=self._version,
                state=self._state,
                queue_position=self._queue_position,
                prefilled=self._prefilled,
                usage=Usage(len(self.request.prompt_ids), self._cached, len(self._steps)),
                text=self._joined_text(),
                finish_reason=self._finish_reason,
                error=self._error,
                timings=self.clock.timings(
                    len(self.request.prompt_ids) - self._cached, len(self._steps)
                ),
                seed=self._seed,
            )

    def steps(self, start: int = 0) -> tuple[Step, ...]:
        """The tokens from number `start` on."""
        with self._changed:
            return tuple(self._steps[start:])

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
            self.wait(snapshot.version)

    def result(self, timeout: float | None = None) -> Snapshot:
        """Wait for the end. Raises ReplyFailed if the reply went wrong, TimeoutError in time."""
        if not self.wait_for_end(timeout):
            raise TimeoutError(f"the reply did not end within {timeout} s")
        snapshot = self.snapshot()
        if snapshot.finish_reason is FinishReason.ERROR:
            raise ReplyFailed(snapshot.error)
        return snapshot

    def message(self) -> ChatMessage:
        """The reply as a turn of the conversation; of one that was continued, what came now.

        It carries its ids, without the end token, unless a stop string cut through them: then
        the text alone goes back to the model. A reply that did not end by itself has the ids of
        a last character that is not whole, and not its text; continued, it says the character.
        """
        with self._changed:
            ids = [step.token_id for step in self._steps]
            ended = self._finish_reason is FinishReason.STOP
            if ended and ids and ids[-1] in self.request.ending_ids:
                ids.pop()
            return ChatMessage(
                "assistant", self._joined_text(), tuple(ids) if self._whole else None
            )

    # --- the engine's side ----------------------------------------------------------------

    def _set_queue_position(self, position: int) -> None:
        if position != self._queue_position:
            with self._changed:
                self._queue_position = position
                self._publish()

    def _set_prefilled(self, prefilled: int, cached: int | None = None) -> None:
        with self._changed:
            if cached is not None:
                self.clock.admitted()
                self._cached = cached
                self._queue_position = 0
            self._state = State.PREFILLING
            self._prefilled = prefilled
            self._publish()

    def _set_state(self, state: State) -> None:
        if state is not self._state:
            with self._changed:
                self._state = state
                self._publish()

    def _append(self, step: Step) -> None:
        with self._changed:
            if self.clock.token():
                self._prefilled = len(self.request.prompt_ids)
            if self._state is State.PREFILLING:
                self._state = State.RUNNING
            self._steps.append(step)
            self._coming = self._hit = None
            self._spend_step()
            self._publish()

    def _finish(
        self, reason: FinishReason, *, tail: str = "", error: str | None = None, whole: bool = True
    ) -> None:
        with self._changed:
            if self._finish_reason is not None:
                return
            self._tail = tail
            self._whole = whole
            self._finish_reason = reason
            self._error = error
            self._queue_position = 0
            self._state = State.FINISHED
            self._coming = self._hit = None
            self.clock.ended()
            self._publish()
        self._ended.set()

    def _joined_text(self) -> str:
        # Only what is new is joined, so that watching costs a constant amount per token.
        if self._text_steps < len(self._steps):
            self._text += "".join(step.text for step in self._steps[self._text_steps :])
            self._text_steps = len(self._steps)
        if self._tail:
            self._text, self._tail = self._text + self._tail, ""
        return self._text
