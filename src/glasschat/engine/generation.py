"""The handle on one reply: watch it, steer it, wait for its end."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from glasschat.engine.reply import Reply
from glasschat.engine.request import GenerationRequest
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Usage
from glasschat.errors import ParameterError
from glasschat.prompt import ChatMessage, PromptEncoding
from glasschat.sampling import StepRecord


class Breakpoint(Protocol):
    """Where a reply shall pause by itself.

    It is the engine's thread that asks, between two steps, and every reply waits meanwhile.
    """

    def before(self, coming: StepRecord) -> bool:
        """Whether to pause before this choice falls; `coming` is as if it had fallen."""

    def after(self, text: str, new: int) -> bool:
        """Whether to pause behind a token: `text` is the reply's, its last `new` characters are
        the token's.
        """


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a reply begins; it is there before the engine sees the reply.

    Its first tokens are `forced`, taken by hand instead of drawn. With `paused` it waits behind
    them, before the first token that is chosen, whose candidates can be seen. It pauses by itself
    at `breakpoints`.
    """

    paused: bool = False
    breakpoints: tuple[Breakpoint, ...] = ()
    forced: tuple[int, ...] = ()


DEFAULT_START = StartOptions()
"""Nothing by hand, and no waiting."""


class Signals:
    """What watchers ask of a reply; the engine takes it at the next step."""

    def __init__(self, start_options: StartOptions = DEFAULT_START) -> None:
        self.cancelled = False
        self.paused = start_options.paused
        self.steps_allowed = len(start_options.forced) if start_options.paused else 0
        self.forced = deque(start_options.forced)
        self.breakpoints = start_options.breakpoints


class Steering(Reply):
    """The signals to one reply, and what is to be seen of it while it is paused.

    Safe to use from any thread. The engine alone calls the methods whose names begin with an
    underscore.
    """

    def __init__(
        self, vocab_size: int, wake_engine: Callable[[], None], start_options: StartOptions
    ) -> None:
        """Raises ParameterError for a forced id outside the vocabulary."""
        super().__init__()
        self._vocab_size = vocab_size
        self._wake_engine = wake_engine
        for token_id in start_options.forced:
            self._check(token_id)
        self._signals = Signals(start_options)
        self._coming: StepRecord | None = None
        self._hit: Breakpoint | None = None

    # --- the signals ----------------------------------------------------------------------

    def cancel(self) -> None:
        """End the reply at the next step; what is there stays."""
        self._signals.cancelled = True
        self._wake_engine()

    def pause(self) -> None:
        """Choose no further token until `step` or `resume`."""
        with self._changed:
            self._signals.paused = True
        self._wake_engine()

    def step(self, count: int = 1) -> None:
        """Choose `count` tokens of a paused reply; nothing for one that is not paused."""
        if count < 1:
            raise ParameterError("count", "at least 1", count)
        with self._changed:
            if self._signals.paused:
                self._signals.steps_allowed += count
        self._wake_engine()

    def resume(self) -> None:
        """Go on after a pause, to the next breakpoint if there is one."""
        with self._changed:
            self._signals.steps_allowed = 0
            self._signals.paused = False
        self._wake_engine()

    def force(self, token_id: int) -> None:
        """Take `token_id` as the next token instead of drawing one.

        Raises ParameterError for an id outside the vocabulary.
        """
        self._check(token_id)
        self._signals.forced.append(token_id)
        self._wake_engine()

    def break_on(self, *breakpoints: Breakpoint) -> None:
        """Pause by itself at these, instead of those named before; none for none."""
        self._signals.breakpoints = breakpoints

    # --- while it is paused ---------------------------------------------------------------

    @property
    def preview(self) -> StepRecord | None:
        """While paused: the next token's candidates, and what the draw would choose.

        None until the model has come that far, while the reply runs and when it has ended. A
        token that is forced instead leaves its draw unused.
        """
        return self._coming

    @property
    def hit_breakpoint(self) -> Breakpoint | None:
        """The breakpoint at which the reply has paused; None when it was paused by hand."""
        return self._hit

    # --- the engine's side ----------------------------------------------------------------

    def _break(self, hit: Breakpoint) -> None:
        """Pause at a breakpoint; steps that were still to go are not gone."""
        with self._changed:
            self._signals.paused = True
            self._signals.steps_allowed = 0
            self._hit = hit
            self._publish()

    def _show_coming(self, coming: StepRecord) -> None:
        with self._changed:
            self._coming = coming
            self._publish()

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self._vocab_size:
            allowed = f"a token id below {self._vocab_size:,}"
            raise ParameterError("token_id", allowed, token_id)

    def _spend_step(self) -> None:
        if self._signals.paused and self._signals.steps_allowed > 0:
            self._signals.steps_allowed -= 1


class Generation(Steering):
    """A reply in flight or finished. Safe to use from any thread, by any number of watchers.

    None of them is needed for the reply to go on. The engine alone calls the methods whose names
    begin with an underscore.
    """

    def __init__(
        self,
        request: GenerationRequest,
        wake_engine: Callable[[], None],
        start_options: StartOptions = DEFAULT_START,
    ) -> None:
        super().__init__(request.vocab_size, wake_engine, start_options)
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
