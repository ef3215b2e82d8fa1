"""One generation as the engine's thread sees it: ids, slot, sampler and text."""

from collections.abc import Sequence as Ids

from glasschat.engine.generation import GenerationWriter
from glasschat.engine.output_text import ReplyText
from glasschat.engine.reply import FinishReason, State, Step
from glasschat.engine.slots import Slot
from glasschat.messages import Message
from glasschat.models.base import ForwardRow, Logits, Tokenizer
from glasschat.sampling import Sampler


class Sequence:
    """A request that waits or runs: its ids, its slot, its sampler, and the writer of its reply.

    Prompt and reply are one list, `ids`; the first `computed` of them are in the KV cache. While
    the generation is paused, `held_row` is the row of logits, float32 [vocab_size], from which the
    next token will be chosen.
    """

    def __init__(self, writer: GenerationWriter, tokenizer: Tokenizer) -> None:
        self.writer = writer
        self.request = request = writer.request
        self.ids = list(request.prompt_ids)
        self.prompt_length = len(self.ids)
        self.reply_start = request.reply_start
        self.computed = 0
        self.slot: Slot | None = None
        self.held_row: Logits | None = None
        self.sampler = Sampler(
            request.params,
            request.prompt_ids[: request.reply_start],
            reply_ids=request.reply_ids,
            end_ids=tokenizer.end_ids,
            vocab_size=tokenizer.vocab_size,
            trace=request.trace,
            stages=request.stages,
        )
        writer.seed = self.sampler.seed
        self._text = ReplyText(request, tokenizer)

    @property
    def prefilling(self) -> bool:
        """Return whether prompt tokens are still to be computed."""
        return self.computed < self.prompt_length

    def admit(self, slot: Slot, cached: int) -> None:
        """Start on `slot`, whose first `cached` positions hold this prompt already."""
        self.slot = slot
        self.computed = cached
        self.writer.set_admitted(cached)

    def next_row(self, count: int) -> ForwardRow:
        """Return the next `count` ids as the model reads them.

        Logits are wanted behind the last id: of the prompt, or the one token just chosen.
        """
        assert self.slot is not None
        end = self.computed + count
        ids = self.ids[self.computed : end]
        return ForwardRow(self.slot.index, self.computed, ids, end == len(self.ids))

    def mark_computed(self, ids: Ids[int]) -> None:
        """Record that the model has read `ids`, and publish how much of the prompt is cached."""
        assert self.slot is not None
        self.slot.ids.extend(ids)
        self.computed += len(ids)
        if self.computed < self.prompt_length or len(ids) > 1:
            self.writer.set_prefilled(min(self.computed, self.prompt_length))

    def publish_state(self) -> None:
        """Publish whether it runs or is paused; a prompt is read in a pause too."""
        writer = self.writer
        if writer.controls.waiting and not self.prefilling:
            writer.set_state(State.PAUSED)
        elif writer.progress.state is State.PAUSED:
            writer.set_state(State.PREFILLING if self.prefilling else State.RUNNING)

    def hold_if_paused(self, row: Logits) -> bool:
        """Keep `row` and publish its candidates if the generation is paused or hits a breakpoint.

        `row` is float32 [vocab_size]. Returns whether it was kept. Raises ReplyFailed where no
        token can be chosen from it.
        """
        controls, preview = self.writer.controls, None
        if not controls.waiting:
            if not controls.breakpoints or controls.forced:
                return False
            preview = self.sampler.preview(row)
            hit = next((b for b in controls.breakpoints if b.before(preview)), None)
            if hit is None:
                return False
            self.writer.pause_at(hit)
        self.held_row = row.copy()
        self.writer.show_preview(preview or self.sampler.preview(row))
        return True

    def advance(self, row: Logits) -> FinishReason | None:
        """Choose the next token from `row`, float32 [vocab_size], and append it to the reply.

        Returns the finish reason if the reply ends with it.
        """
        writer, request = self.writer, self.request
        controls = writer.controls
        if controls.forced:
            choice = self.sampler.force(row, controls.forced.popleft())
        else:
            choice = self.sampler.sample(row)
        token_id = choice.token_id
        self.ids.append(token_id)
        may_stop = len(self.ids) - self.reply_start >= request.params.min_new_tokens
        if may_stop and token_id in request.ending_ids:
            writer.append(Step(token_id, "", choice.record))
            return self.finish(FinishReason.STOP)
        shown, stopped = self._text.push(token_id, may_stop=may_stop)
        writer.append(Step(token_id, shown, choice.record))
        if stopped:
            writer.finish(FinishReason.STOP, ids_match_text=False)
            return FinishReason.STOP
        if len(self.ids) - self.prompt_length >= request.max_new_tokens:
            return self.finish(FinishReason.LENGTH)
        if controls.breakpoints:
            text = writer.text()
            hit = next((b for b in controls.breakpoints if b.after(text, len(shown))), None)
            if hit is not None:
                writer.pause_at(hit)
        return None

    def finish(self, reason: FinishReason, error: Message | None = None) -> FinishReason:
        """End the reply, publish the text that was held back, and return `reason`.

        A reply that did not end by itself may be continued later: a character that its last tokens
        have only begun is not shown, and comes with the rest of it.
        """
        stopped = False
        if reason is FinishReason.STOP:
            tail, stopped = self._text.flush()
        else:
            tail = self._text.flush_resumable()
        self.writer.finish(reason, tail=tail, error=error, ids_match_text=not stopped)
        return reason
