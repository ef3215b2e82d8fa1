"""One generation: its controls, the engine's writing side, and the handle for its watchers."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from glasschat.engine.reply import FinishReason, Reply, ReplyProgress, Snapshot, State, Step, Usage
from glasschat.engine.request import GenerationRequest
from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.prompt import ChatMessage, PromptEncoding
from glasschat.sampling import StepRecord


class Breakpoint(Protocol):
    """A condition at which a reply pauses by itself.

    The engine's thread asks it between two steps, and every reply waits meanwhile.
    """

    def before(self, preview: StepRecord) -> bool:
        """Return whether to pause before this choice; `preview` is its record if it were made."""

    def after(self, text: str, new: int) -> bool:
        """Return whether to pause behind the last token.

        `text` is the reply's text; its last `new` characters are the token's.
        """


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a reply begins. It is set before the engine sees the reply.

    The ids in `forced` are its first tokens and are not drawn. With `paused` the reply waits behind
    them, before the first token that is chosen, and shows that token's candidates. It pauses by
    itself at `breakpoints`.
    """

    paused: bool = False
    breakpoints: tuple[Breakpoint, ...] = ()
    forced: tuple[int, ...] = ()


DEFAULT_START = StartOptions()
"""Start without forced tokens, a pause or breakpoints."""


class Controls:
    """Signals from the watchers to one generation; the engine obeys them at its next step."""

    def __init__(self, start_options: StartOptions) -> None:
        self.cancelled = False
        self.paused = start_options.paused
        self.steps_allowed = len(start_options.forced) if start_options.paused else 0
        self.forced = deque(start_options.forced)
        self.breakpoints = start_options.breakpoints

    @property
    def waiting(self) -> bool:
        """Return whether the generation is paused and has no step left to take."""
        return self.paused and self.steps_allowed == 0


class GenerationWriter:
    """The engine's side of one generation: what it has written, and the controls that it obeys.

    The engine's thread alone calls the methods. Watchers hold a `Generation`, which reads the
    fields with `progress.changed` held.
    """

    def __init__(
        self, request: GenerationRequest, start_options: StartOptions = DEFAULT_START
    ) -> None:
        """Raises ParameterError for a forced id outside the vocabulary."""
        for token_id in start_options.forced:
            request.check_token_id(token_id)
        self.request = request
        self.controls = Controls(start_options)
        self.progress = ReplyProgress()
        self.queue_position = 0
        self.cached_tokens = 0
        self.prefilled = 0
        self.steps: list[Step] = []
        self.ids_match_text = True
        self.seed: int | None = None
        self.preview: StepRecord | None = None
        self.hit_breakpoint: Breakpoint | None = None

    def set_queue_position(self, position: int) -> None:
        """Publish the place in the queue, from 1; 0 is out of the queue."""
        if position != self.queue_position:
            with self.progress.changed:
                self.queue_position = position
                self.progress.publish()

    def set_admitted(self, cached: int) -> None:
        """Publish that a slot was found which holds the first `cached` prompt tokens already."""
        with self.progress.changed:
            self.progress.clock.mark_admitted()
            self.cached_tokens = cached
            self.queue_position = 0
            self.set_prefilled(cached)

    def set_prefilled(self, prefilled: int) -> None:
        """Publish how many prompt tokens are in the cache."""
        with self.progress.changed:
            self.progress.state = State.PREFILLING
            self.prefilled = prefilled
            self.progress.publish()

    def set_state(self, state: State) -> None:
        """Publish the state, if it is a new one."""
        if state is not self.progress.state:
            with self.progress.changed:
                self.progress.state = state
                self.progress.publish()

    def append(self, step: Step) -> None:
        """Publish a token. It uses up one of the steps that a paused reply may take."""
        progress, controls = self.progress, self.controls
        with progress.changed:
            if progress.clock.mark_token():
                self.prefilled = len(self.request.prompt_ids)
            if progress.state is State.PREFILLING:
                progress.state = State.RUNNING
            self.steps.append(step)
            progress.add_text(step.text)
            self.preview = self.hit_breakpoint = None
            if controls.paused and controls.steps_allowed > 0:
                controls.steps_allowed -= 1
            progress.publish()

    def text(self) -> str:
        """Return the reply's text so far."""
        with self.progress.changed:
            return self.progress.text

    def pause_at(self, breakpoint_: Breakpoint) -> None:
        """Pause at a breakpoint; steps that were still to take are dropped."""
        with self.progress.changed:
            self.controls.paused = True
            self.controls.steps_allowed = 0
            self.hit_breakpoint = breakpoint_
            self.progress.publish()

    def show_preview(self, preview: StepRecord) -> None:
        """Publish the candidates of the next token while the reply is paused."""
        with self.progress.changed:
            self.preview = preview
            self.progress.publish()

    def finish(
        self,
        reason: FinishReason,
        *,
        tail: str = "",
        error: Message | None = None,
        ids_match_text: bool = True,
    ) -> None:
        """End the reply, once; `tail` is the last of its text.

        `ids_match_text` is False where a stop string cut the text within the ids.
        """
        progress = self.progress
        with progress.changed:
            if progress.finish_reason is not None:
                return
            progress.add_text(tail)
            self.ids_match_text = ids_match_text
            self.queue_position = 0
            self.preview = self.hit_breakpoint = None
            progress.end(reason, error)


class Generation(Reply):
    """A reply that an engine writes, for its watchers: read it, steer it, wait for its end.

    Safe to use from any thread, by any number of watchers. The reply goes on without any of them.
    """

    def __init__(self, writer: GenerationWriter, wake_engine: Callable[[], None]) -> None:
        super().__init__(writer.progress)
        self._writer = writer
        self._controls = writer.controls
        self._wake_engine = wake_engine

    @property
    def request(self) -> GenerationRequest:
        """Return what the engine was asked for."""
        return self._writer.request

    @property
    def prompt(self) -> PromptEncoding:
        """Return the prompt that the model reads."""
        return self._writer.request.prompt

    # --- watching -------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the state of the reply at this moment."""
        writer, progress = self._writer, self._progress
        with progress.changed:
            usage = Usage(len(writer.request.prompt_ids), writer.cached_tokens, len(writer.steps))
            return Snapshot(
                version=progress.version,
                state=progress.state,
                queue_position=writer.queue_position,
                prefilled=writer.prefilled,
                usage=usage,
                text=progress.text,
                finish_reason=progress.finish_reason,
                error=progress.error,
                timings=progress.clock.timings(
                    usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens
                ),
                seed=writer.seed,
            )

    def steps(self, start: int = 0) -> tuple[Step, ...]:
        """Return the tokens from number `start` on."""
        with self._progress.changed:
            return tuple(self._writer.steps[start:])

    def message(self) -> ChatMessage:
        """Return the reply as a turn of the conversation; of a continued one, the new part.

        The message carries its ids, without the end token, unless a stop string cut through them:
        then only the text goes back to the model. A reply that did not end by itself has the ids of
        an incomplete last character, and not its text; when it is continued, the character follows.
        """
        writer, progress = self._writer, self._progress
        with progress.changed:
            ids = [step.token_id for step in writer.steps]
            ended = progress.finish_reason is FinishReason.STOP
            if ended and ids and ids[-1] in writer.request.ending_ids:
                ids.pop()
            return ChatMessage(
                "assistant", progress.text, tuple(ids) if writer.ids_match_text else None
            )

    @property
    def preview(self) -> StepRecord | None:
        """Return the next token's candidates and what the draw would choose, while paused.

        None until the model has computed that row, while the reply runs and when it has ended. A
        token that is forced instead leaves its draw unused.
        """
        return self._writer.preview

    @property
    def hit_breakpoint(self) -> Breakpoint | None:
        """Return the breakpoint at which the reply has paused; None if it was paused by hand."""
        return self._writer.hit_breakpoint

    # --- steering -------------------------------------------------------------------------

    def cancel(self) -> None:
        """End the reply at the next step; what has been written stays."""
        self._controls.cancelled = True
        self._wake_engine()

    def pause(self) -> None:
        """Choose no further token until `step` or `resume`."""
        with self._progress.changed:
            self._controls.paused = True
        self._wake_engine()

    def step(self, count: int = 1) -> None:
        """Choose `count` tokens of a paused reply; do nothing for one that is not paused."""
        if count < 1:
            raise ParameterError("count", "at least 1", count)
        with self._progress.changed:
            if self._controls.paused:
                self._controls.steps_allowed += count
        self._wake_engine()

    def resume(self) -> None:
        """Go on after a pause, to the next breakpoint if there is one."""
        with self._progress.changed:
            self._controls.steps_allowed = 0
            self._controls.paused = False
        self._wake_engine()

    def force(self, token_id: int) -> None:
        """Take `token_id` as the next token instead of drawing one.

        Raises ParameterError for an id outside the vocabulary.
        """
        self.request.check_token_id(token_id)
        self._controls.forced.append(token_id)
        self._wake_engine()

    def break_on(self, *breakpoints: Breakpoint) -> None:
        """Replace the breakpoints; without arguments, remove them."""
        self._controls.breakpoints = breakpoints
