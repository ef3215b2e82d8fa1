"""The handle on one reply: watch it, steer it, wait for its end."""

from collections.abc import Callable

from glasschat.engine.request import GenerationRequest
from glasschat.engine.signals import AT_ONCE, Beginning
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Usage
from glasschat.engine.steering import Steering
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
        self.request = request
        self._queue_position = 0
        self._cached = 0
        self._prefilled = 0
        self._steps: list[Step] = []
        self._whole = True
        self._seed: int | None = None

    @property
    def prompt(self) -> PromptEncoding:
        """What the model reads."""
        return self.request.prompt

    # --- watching -------------------------------------------------------------------------

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
            if step.text:
                self._new_text.append(step.text)
            self._coming = self._hit = None
            self._spend_step()
            self._publish()

    def _finish(
        self, reason: FinishReason, *, tail: str = "", error: str | None = None, whole: bool = True
    ) -> None:
        with self._changed:
            if self._finish_reason is not None:
                return
            if tail:
                self._new_text.append(tail)
            self._whole = whole
            self._queue_position = 0
            self._coming = self._hit = None
            self._end(reason, error)
