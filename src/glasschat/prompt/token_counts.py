"""Token counts of messages in a prompt, without rendering them."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

from glasschat.errors import PromptError
from glasschat.prompt.encoding import PromptEncoding
from glasschat.prompt.messages import ChatMessage, user

_QUESTION, _REPLY, _SYSTEM = user("x"), ChatMessage("assistant", "x"), ChatMessage("system", "x")


class PromptMaker(Protocol):
    """Makes prompts of messages: a chat template, or plain text."""

    def encode(self, messages: Sequence[ChatMessage], open_reply: bool = True) -> PromptEncoding:
        """Return the prompt for `messages`."""

    def prompt_for(self, messages: Sequence[ChatMessage]) -> PromptEncoding:
        """Return the prompt for what comes after `messages`; a last assistant turn is continued."""

    def content_tokens(self, message: ChatMessage) -> int:
        """Return how many ids a message's content has."""


class TurnTokens(NamedTuple):
    """Token counts of a turn as the last of a prompt, and as one that others follow.

    The last has no header of its own, which is in the frame, and no reply but one that is
    continued.
    """

    last: int
    followed: int


class PromptTokenCounts:
    """Adds up what the template writes around turns, measured with three small prompts.

    Exact for a template that writes the same around every turn and trims nothing that is there;
    most do. The caller checks the true prompt afterwards.
    """

    def __init__(self, maker: PromptMaker) -> None:
        self._maker = maker

    def frame(self, system: ChatMessage | None) -> int:
        """Return the tokens of a prompt without its turns: the system prompt and headers."""
        if system is None:
            return self._frame_tokens
        return self._system_frame_tokens + self._maker.content_tokens(system)

    def turn(self, messages: Sequence[ChatMessage], *, followed: bool) -> TurnTokens:
        """Return the token counts of a question with what came after it.

        Where it is `followed` by others, it was once the last without a reply.
        """
        sizes = [self._maker.content_tokens(message) for message in messages]
        return TurnTokens(sizes[0] if followed else sum(sizes), sum(sizes) + self._exchange_tokens)

    @cached_property
    def _frame_tokens(self) -> int:
        return self._count_around([_QUESTION])

    @cached_property
    def _system_frame_tokens(self) -> int:
        return self._count_around([_SYSTEM, _QUESTION])

    @cached_property
    def _exchange_tokens(self) -> int:
        return max(0, self._count_around([_QUESTION, _REPLY, _QUESTION]) - self._frame_tokens)

    def _count_around(self, messages: Sequence[ChatMessage]) -> int:
        """Return how many ids the template writes around `messages`; 0 where it refuses them."""
        try:
            ids = self._maker.encode(messages).ids
        except PromptError:
            return 0
        return len(ids) - sum(map(self._maker.content_tokens, messages))
