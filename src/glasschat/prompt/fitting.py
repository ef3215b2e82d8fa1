"""Fitting of a conversation into the context: refuse it, or leave out the oldest turns."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

from glasschat.errors import PromptTooLong
from glasschat.prompt.encoding import PromptEncoding
from glasschat.prompt.messages import ChatMessage, conversation, user
from glasschat.prompt.token_counts import PromptMaker, PromptTokenCounts, TurnTokens

# Shares of the length limit: what is kept for a reply of unknown length, and how much is left of a
# conversation once something has to go.
REPLY_SHARE = 1 / 4
KEPT_SHARE = 1 / 2
# So many times too long, a prompt is counted without making it.
HOPELESS = 2


class ContextPolicy(StrEnum):
    """What happens to a conversation that does not fit, chosen beforehand."""

    REFUSE = "refuse"
    LEAVE_OUT_OLDEST = "leave_out_oldest"


class LengthLimits(Protocol):
    """The sampling settings that limit lengths, in tokens."""

    @property
    def max_length(self) -> int:
        """Return the limit of prompt and reply together."""

    @property
    def max_new_tokens(self) -> int | None:
        """Return the limit of the reply alone; None leaves it to `max_length`."""


def room_for_reply(prompt_tokens: int, limits: LengthLimits, context: int) -> int:
    """Return how many tokens may be generated after a prompt of `prompt_tokens`: at least one.

    Nothing is ever dropped to make room: a prompt that leaves none raises PromptTooLong.
    """
    limit = min(limits.max_length, context)
    room = limit - prompt_tokens
    if room < 1:
        raise PromptTooLong(prompt_tokens, limit, context)
    return room if limits.max_new_tokens is None else min(room, limits.max_new_tokens)


class PromptFitter:
    """Makes prompts that fit, by one policy or the other. Safe to use from any thread."""

    def __init__(self, maker: PromptMaker) -> None:
        self.maker = maker
        self._sizes = PromptTokenCounts(maker)
        self._measured = lru_cache(16)(self._measure)

    def fit(
        self,
        messages: Sequence[ChatMessage],
        limits: LengthLimits,
        context: int,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> PromptEncoding:
        """Return the prompt for what comes after `messages`, with room for at least one token.

        Left out are whole turns, each a question with its reply, the oldest first; never the system
        prompt, the newest question, or the reply to it that is continued. Which ones depends on
        messages and limits alone. Raises PromptTooLong if the rest does not fit either, and what
        `PromptMaker.prompt_for` raises.
        """
        messages = conversation(messages)
        limit = min(limits.max_length, context)
        if policy is ContextPolicy.LEAVE_OUT_OLDEST:
            encoding = self._leave_out_oldest(messages, limits, limit)
        elif (counted := self._count(messages)) > HOPELESS * limit:
            raise PromptTooLong(counted, limit, context)
        else:
            encoding = self.maker.prompt_for(messages)
        room_for_reply(len(encoding.ids), limits, context)
        return encoding

    def measure(self, messages: Sequence[ChatMessage], context: int) -> int:
        """Return how many tokens the prompt for `messages` has, nothing left out.

        Without a question yet, the count is that of an empty one. A number above `HOPELESS` times
        `context` may be a few tokens off. Raises what `PromptMaker.prompt_for` raises.
        """
        return self._measured(tuple(messages), context)

    def _measure(self, messages: tuple[ChatMessage, ...], context: int) -> int:
        """Count the tokens: exactly, or by adding up where the prompt is far too long."""
        if not any(message.role == "user" for message in messages):
            messages = (*messages, user(""))
        messages = conversation(messages)
        counted = self._count(messages)
        return counted if counted > HOPELESS * context else len(self.maker.prompt_for(messages).ids)

    def _count(self, messages: Sequence[ChatMessage]) -> int:
        """Return the token count of a prompt by adding up its turns."""
        frame, turns = self._count_turns(messages)
        return frame + sum(turn.followed for turn in turns[:-1]) + turns[-1].last

    def _leave_out_oldest(
        self, messages: Sequence[ChatMessage], limits: LengthLimits, limit: int
    ) -> PromptEncoding:
        """Return the prompt without as many of the oldest turns as the limit asks for."""
        spare = int(limit * REPLY_SHARE)
        if limits.max_new_tokens is not None:
            spare = min(spare, limits.max_new_tokens)
        most = limit - spare
        frame, sizes = self._count_turns(messages)
        starts = turn_starts(messages)
        first = choose_first_kept(
            frame, sizes, most=most, target=min(most, int(limit * KEPT_SHARE))
        )
        encoding = self._encode_without(messages, starts[0], starts[first])
        if len(encoding.ids) <= most:
            return encoding
        # The template writes more than was added up: leave out what that takes.
        later = range(first + 1, len(starts) - 1)
        more = bisect_left(
            later,
            True,
            key=lambda n: len(self._encode_without(messages, starts[0], starts[n]).ids) <= most,
        )
        last = min(first + 1 + more, len(starts) - 1)
        return (
            encoding if last == first else self._encode_without(messages, starts[0], starts[last])
        )

    def _count_turns(self, messages: Sequence[ChatMessage]) -> tuple[int, list[TurnTokens]]:
        """Return the tokens of the prompt without its turns, and those of each turn."""
        starts = turn_starts(messages)
        turns = [
            self._sizes.turn(messages[start:end], followed=end < len(messages))
            for start, end in pairwise([*starts, len(messages)])
        ]
        return self._sizes.frame(messages[0] if starts[0] else None), turns

    def _encode_without(
        self, messages: Sequence[ChatMessage], start: int, end: int
    ) -> PromptEncoding:
        """Return the prompt without the messages from `start` up to `end`."""
        if start == end:
            return self.maker.prompt_for(messages)
        encoding = self.maker.prompt_for([*messages[:start], *messages[end:]])
        gone = end - start
        spans = tuple(
            span
            if span.message is None or span.message < start
            else replace(span, message=span.message + gone)
            for span in encoding.spans
        )
        return replace(encoding, spans=spans, left_out=tuple(range(start, end)))


def choose_first_kept(frame: int, turns: Sequence[TurnTokens], *, most: int, target: int) -> int:
    """Return the number of the first turn that stays in a prompt for the last question.

    It goes through the questions as they were asked, so that what it leaves out at one question is
    left out at the next, and the cache of what stays is of use: only a prompt of more than `most`
    tokens makes it leave out more, and then so much that no more than `target` are left. The
    question itself always stays.
    """
    first, held = 0, frame
    for number, turn in enumerate(turns):
        if held + turn.last > most:
            while first < number and held + turn.last > target:
                held -= turns[first].followed
                first += 1
        held += turn.followed
    return first


def turn_starts(messages: Sequence[ChatMessage]) -> list[int]:
    """Return where each turn begins: a question, or what comes before the first one."""
    first = 1 if messages[0].role == "system" and len(messages) > 1 else 0
    return [first] + [
        index for index, m in enumerate(messages) if index > first and m.role == "user"
    ]
