"""A generation request with all its limits resolved."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from glasschat.errors import ParameterError, PromptError
from glasschat.messages import Message
from glasschat.models.base import Tokenizer
from glasschat.prompt import PromptEncoding, Span, room_for_reply
from glasschat.sampling import NO_STAGES, SamplingParams, Stage, StageClasses, build_stages
from glasschat.sampling.breakers import Breakers, BreakerStage, resolve_breakers


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One reply to generate, or to continue.

    `max_new_tokens` is what all limits together allow. `ending_ids` are the tokens that end the
    reply, `end_ids` the model's end tokens, of which a request may ignore some. `vocab_size` is the
    tokenizer's. Without `trace` no step records are written. `constraint` is a stage of this reply
    alone, which runs before those that `params` asks for; `stage_classes` are the custom stages
    that it may ask for, `breakers` the sequence breakers of its stages in token ids.
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
    breakers: Breakers = field(default_factory=dict)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """Return all ids that the model reads before the first new token."""
        return self.prompt.ids

    @property
    def reply_ids(self) -> tuple[int, ...]:
        """Return the ids at the end of `prompt_ids` that belong to the reply already."""
        return self.prompt_ids[self.reply_start :]

    @property
    def reply_start(self) -> int:
        """Return how many ids come before the reply."""
        open_reply = self.prompt.open_reply
        return len(self.prompt_ids) - (open_reply.tokens if open_reply else 0)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Build the stages that the logits go through, in order. Raises StageNotHere,
        ParameterError.
        """
        stages = tuple(
            stage.with_breakers(self.breakers) if isinstance(stage, BreakerStage) else stage
            for stage in build_stages(self.params, self.stage_classes.build)
        )
        return stages if self.constraint is None else (self.constraint, *stages)

    def check_token_id(self, token_id: int) -> None:
        """Raise ParameterError for an id outside the vocabulary."""
        if not 0 <= token_id < self.vocab_size:
            allowed = Message("a token id below {size:,}", size=self.vocab_size)
            raise ParameterError("token_id", allowed, token_id)

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
        """Resolve the limits of a request; ids alone count as a prompt of the template's.

        The limit of new tokens is for those that come now; max length and the minimum number of
        tokens are for the reply with its earlier part. Raises PromptTooLong, or PromptError for ids
        that do not exist.
        """
        if not isinstance(prompt, PromptEncoding):
            prompt = PromptEncoding(tuple(prompt), (Span(0, len(prompt), "template", None),))
        ids = prompt.ids
        if not ids:
            raise PromptError("the prompt is empty: give at least one token")
        for token_id in ids:
            if not 0 <= token_id < tokenizer.vocab_size:
                raise PromptError(
                    "token id {token_id} is outside the vocabulary of {vocab_size:,}",
                    token_id=token_id,
                    vocab_size=tokenizer.vocab_size,
                )
        texts = [
            text
            for stage in build_stages(params, stage_classes.build)
            if isinstance(stage, BreakerStage)
            for text in stage.breaker_texts
        ]
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
            breakers=resolve_breakers(texts, tokenizer) if texts else {},
        )
