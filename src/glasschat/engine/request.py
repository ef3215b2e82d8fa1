"""What is asked of the engine: ids in."""

from collections.abc import Sequence
from dataclasses import dataclass

from glasschat.errors import PromptError
from glasschat.models.base import Tokenizer
from glasschat.prompt import PromptEncoding, Span, room_for_reply
from glasschat.sampling import NO_STAGES, SamplingParams, Stage, StageClasses, build_stages


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One reply to generate, or to go on with.

    `max_new_tokens` is what all limits together allow, `ending_ids` the tokens that end the
    reply, `end_ids` the model's own among all that could, `vocab_size` the tokenizer's. Without
    `trace` no step records are written. `constraint` is a stage of this reply alone, which runs
    before those that `params` asks for; `stage_classes` are those of one's own that it may ask for.
    """

    prompt: PromptEncoding
    params: SamplingParams
    max_new_tokens: int
    ending_ids: frozenset[int]
    vocab_size: int
    trace: bool = True
    end_ids: frozenset[int] = frozenset()
    constraint: Stage | None = None
    stage_classes: StageClasses = NO_STAGES

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """All that the model reads before the first new token."""
        return self.prompt.ids

    @property
    def reply_ids(self) -> tuple[int, ...]:
        """Those of `prompt_ids`, at their end, that the reply has already."""
        return self.prompt_ids[self.reply_start :]

    @property
    def reply_start(self) -> int:
        """How many ids come before the reply."""
        open_reply = self.prompt.open_reply
        return len(self.prompt_ids) - (open_reply.tokens if open_reply else 0)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All that scores go through, in their order. Raises StageNotHere, ParameterError."""
        asked = build_stages(self.params, self.stage_classes.build)
        return asked if self.constraint is None else (self.constraint, *asked)

    @classmethod
    def resolve(
        cls,
        prompt: PromptEncoding | Sequence[int],
        params: SamplingParams,
        *,
        tokenizer: Tokenizer,
        context: int,
        trace: bool = True,
        constraint: Stage | None = None,
        stage_classes: StageClasses = NO_STAGES,
    ) -> "GenerationRequest":
        """Settle the limits; ids alone are a prompt of the template's.

        The limit of the new tokens is for those that come now; max length, and the least number
        of tokens, are for the reply with its earlier part. Raises PromptTooLong, or PromptError
        for ids that do not exist.
        """
        if not isinstance(prompt, PromptEncoding):
            prompt = PromptEncoding(tuple(prompt), (Span(0, len(prompt), "template", None),))
        ids = prompt.ids
        if not ids:
            raise PromptError("the prompt is empty: give at least one token")
        for token_id in ids:
            if not 0 <= token_id < tokenizer.vocab_size:
                raise PromptError(
                    f"token id {token_id} is outside the vocabulary of {tokenizer.vocab_size:,}"
                )
        ends = frozenset() if params.ignore_eos else tokenizer.end_ids
        return cls(
            prompt=prompt,
            params=params,
            max_new_tokens=room_for_reply(len(ids), params, context),
            ending_ids=ends | frozenset(params.stop_token_ids),
            vocab_size=tokenizer.vocab_size,
            trace=trace,
            constraint=constraint,
            stage_classes=stage_classes,
            end_ids=frozenset(tokenizer.end_ids),
        )
