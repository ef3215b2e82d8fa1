"""How much of the context is left for the reply."""

from typing import Protocol

from glasschat.errors import PromptTooLong


class LengthLimits(Protocol):
    """The part of the sampling settings that bounds lengths, in tokens."""

    @property
    def max_length(self) -> int:
        """Prompt and reply together."""

    @property
    def max_new_tokens(self) -> int | None:
        """The reply alone; None leaves it to `max_length`."""


def room_for_reply(prompt_tokens: int, limits: LengthLimits, context: int) -> int:
    """How many tokens may be generated after a prompt of `prompt_tokens`: at least one.

    Nothing is ever dropped to make room: a prompt that leaves none raises PromptTooLong.
    """
    limit = min(limits.max_length, context)
    room = limit - prompt_tokens
    if room < 1:
        raise PromptTooLong(prompt_tokens, limit, context)
    return room if limits.max_new_tokens is None else min(room, limits.max_new_tokens)
