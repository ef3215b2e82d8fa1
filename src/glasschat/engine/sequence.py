"""One reply as the engine's thread sees it."""

from collections.abc import Sequence as Ids

from glasschat.engine.generation import Generation
from glasschat.engine.output_text import ReplyText
from glasschat.engine.slots import Slot
from glasschat.engine.snapshot import FinishReason, State, Step
from glasschat.models.base import Logits, Tokenizer
from glasschat.sampling import Sampler


class Sequence:
    """A request on its way: its slot, how far its cache has come, its sampler.

    Prompt and reply are one list of ids, `ids`; the first `computed` of them are in the cache.
    While it is paused, `held` is the row of logits from which the next token will be chosen.
    """

    def __init__(self, generation: Generation, tokenizer: Tokenizer) -> None:
        request = generation.request
        self.generation = generation
        self.request = request
        self.ids = list(request.prompt_ids)
        self.computed = 0
        self.slot: Slot | None = None
        self.held: Logits | None = None
        self.sampler = Sampler(
            request.params,
            request.prompt_ids[: request.reply_start],
            reply_ids=request.reply_ids,
            end_ids=tokenizer.end_ids,
            vocab_size=tokenizer.vocab_size,
            trace=request.trace,
            stages=request.stages,
        )
        generation._seed = self.sampler.seed
        self._text = ReplyText(request, tokenizer)

    @property
    def remaining(self) -> int:
        """Ids not in the cache yet: the rest of the prompt, or the one token just chosen."""
        return len(self.ids) - self.computed

    @property
    def prefilling(self) -> bool:
        """Whether prompt tokens are still to be computed."""
        return self.computed < len(self.request.prompt_ids)

    @property
    def completion_tokens(self) -> int:
        """How many tokens have come."""
        return len(self.ids) - len(self.request.prompt_ids)

    @property
    def waits_for_signal(self) -> bool:
        """Whether it is paused and has no step left to go."""
        signals = self.generation._signals
        return signals.paused and signals.steps_allowed == 0

    def next_ids(self, count: int) -> Ids[int]:
        """The next `count` ids to compute."""
        return self.ids[self.computed : self.computed + count]

    def admit(self, slot: Slot, cached: int) -> None:
        """Start on `slot`, whose first `cached` positions hold this prompt already."""
        self.slot = slot
        self.computed = cached
        self.generation._set_prefilled(cached, cached)

    def pauses(self, row: Logits) -> bool:
        """Whether to wait with the choice from `row`, which is kept then, and its candidates shown.

        Raises ReplyFailed where nothing can be chosen from it.
        """
        signals, coming = self.generation._signals, None
        if not self.waits_for_signal:
            if not signals.breakpoints or signals.forced:
                return False
            coming = self.sampler.preview(row)
            hit = next((b for b in signals.breakpoints if b.before(coming)), None)
            if hit is None:
                return False
            self.generation._break(hit)
        self.held = row.copy()
        self.generation._show_coming(coming or self.sampler.preview(row))
        return True

    def take_held(self) -> Logits | None:
        """The row that was kept, once the choice may fall."""
        if self.held is None or self.waits_for_signal:
            return None
        row, self.held = self.held, None
        return row

    def advance(self, row: Logits) -> FinishReason | None:
        """Choose the next token from its row of logits; the reason if the reply ends with it."""
        signals = self.generation._signals
        if signals.forced:
            choice = self.sampler.force(row, signals.forced.popleft())
        else:
            choice = self.sampler.sample(row)
        token_id = choice.token_id
        self.ids.append(token_id)
        may_stop = len(self.ids) - self.request.reply_start >= self.request.params.min_new_tokens
        if may_stop and token_id in self.request.ending_ids:
            self.generation._append(Step(token_id, "", choice.record))
            return self.finish(FinishReason.STOP)
        shown, stopped = self._text.push(token_id, may_stop=may_stop)
        self.generation._append(Step(token_id, shown, choice.record))
        if stopped:
            self.generation._finish(FinishReason.STOP, whole=False)
            return FinishReason.STOP
        if self.completion_tokens >= self.request.max_new_tokens:
            return self.finish(FinishReason.LENGTH)
        self._break_behind(shown)
        return None

    def _break_behind(self, shown: str) -> None:
        breakpoints = self.generation._signals.breakpoints
        if breakpoints:
            text = self.generation.snapshot().text
            hit = next((b for b in breakpoints if b.after(text, len(shown))), None)
            if hit is not None:
                self.generation._break(hit)

    def finish(self, reason: FinishReason, error: str | None = None) -> FinishReason:
        """End the reply; what was held back of its text is shown.

        One that did not end by itself may go on later: a character that its last tokens have
        only begun is not shown, and comes with the rest of it.
        """
        stopped = False
        if reason is FinishReason.STOP:
            tail, stopped = self._text.end()
        else:
            tail = self._text.break_off()
        self.generation._finish(reason, tail=tail, error=error, whole=not stopped)
        return reason

    def show_state(self) -> None:
        """Tell the watchers whether it runs or is paused; a prompt is read all the same."""
        if self.waits_for_signal and not self.prefilling:
            self.generation._set_state(State.PAUSED)
        elif self.generation._state is State.PAUSED:
            self.generation._set_state(State.PREFILLING if self.prefilling else State.RUNNING)
