"""What is asked of the engine: ids in."""

from collections.abc import Sequence
from dataclasses import dataclass

from glasschat.errors import PromptError
from glasschat.models.base import Tokenizer
from glasschat.prompt import room_for_reply
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One reply to generate.

    `max_new_tokens` is what all limits together allow, `ending_ids` the tokens that end the
    reply, `vocab_size` the tokenizer's. Without `trace` no step records are written.
    """

    prompt_ids: tuple[int, ...]
    params: SamplingParams
    max_new_tokens: int
    ending_ids: frozenset[int]
    vocab_size: int
    trace: bool = True

    @classmethod
    def resolve(
        cls,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        *,
        tokenizer: Tokenizer,
        context: int,
        trace: bool = True,
    ) -> "GenerationRequest":
        """Settle the limits. Raises PromptTooLong, or PromptError for ids that do not exist."""
        ids = tuple(prompt_ids)
        if not ids:
            raise PromptError("the prompt is empty: give at least one token")
        for token_id in ids:
            if not 0 <= token_id < tokenizer.vocab_size:
                raise PromptError(
                    f"token id {token_id} is outside the vocabulary of {tokenizer.vocab_size:,}"
                )
        ends = frozenset() if params.ignore_eos else tokenizer.end_ids
        return cls(
            prompt_ids=ids,
            params=params,
            max_new_tokens=room_for_reply(len(ids), params, context),
            ending_ids=ends | frozenset(params.stop_token_ids),
            vocab_size=tokenizer.vocab_size,
            trace=trace,
        )
