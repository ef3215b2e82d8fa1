"""Steering a reply, and what is to be seen of it while it is paused."""

from collections.abc import Callable

from glasschat.engine.reply import Reply
from glasschat.engine.signals import Beginning, Breakpoint, Signals
from glasschat.errors import ParameterError
from glasschat.sampling import StepRecord


class Steering(Reply):
    """The signals to one reply, and what is to be seen of it while it is paused.

    Safe to use from any thread. The engine alone calls the methods whose names begin with an
    underscore.
    """

    def __init__(
        self, vocab_size: int, wake_engine: Callable[[], None], beginning: Beginning
    ) -> None:
        """Raises ParameterError for a forced id outside the vocabulary."""
        super().__init__()
        self._vocab_size = vocab_size
        self._wake_engine = wake_engine
        for token_id in beginning.forced:
            self._check(token_id)
        self._signals = Signals(beginning)
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
    def coming(self) -> StepRecord | None:
        """While paused: the next token's candidates, and what the draw would choose.

        None until the model has come that far, while the reply runs and when it has ended. A
        token that is forced instead leaves its draw unused.
        """
        return self._coming

    @property
    def hit(self) -> Breakpoint | None:
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
