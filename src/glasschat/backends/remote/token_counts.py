"""What of a conversation a server is given to read, and how much it may write."""

from collections.abc import Sequence
from itertools import pairwise

from glasschat.backends.remote.counting import Count, TokenCounts
from glasschat.backends.remote.reply import RemotePrompt
from glasschat.prompt import ChatMessage, ContextPolicy, conversation, room_for_reply
from glasschat.prompt.fitting import KEPT_SHARE, REPLY_SHARE, first_kept, turn_starts
from glasschat.prompt.sizes import TurnSize
from glasschat.sampling import SamplingParams

# An estimate is not to fill the context to its last token: the server would refuse.
_MARGIN = 1.1


class RemoteFitter:
    """Fits conversations into a context of which only the server knows the tokens.

    A count decides; an estimate decides about max length alone, and the server about its context.
    `context` is 0 where it is not known.
    """

    def __init__(self, counts: TokenCounts, context: int) -> None:
        self._counts = counts
        self._context = context

    def fit(
        self, messages: Sequence[ChatMessage], params: SamplingParams, policy: ContextPolicy
    ) -> tuple[list[ChatMessage], RemotePrompt]:
        """The messages that stay, and how many tokens they are.

        Left out are whole turns as by `PromptFitter`. Raises InvalidMessage, PromptTooLong.
        """
        asked = list(conversation(messages))
        kept, left_out = asked, tuple[int, ...]()
        count = self._counts.of(asked)
        if policy is ContextPolicy.LEAVE_OUT_OLDEST:
            start, end, count = self._shortened(asked, params, count)
            kept, left_out = [*asked[:start], *asked[end:]], tuple(range(start, end))
        self.room(count, params)
        return kept, RemotePrompt(count.tokens, left_out, count.counted)

    def room(self, count: Count | RemotePrompt, params: SamplingParams) -> int:
        """How many tokens may come after a prompt of `count`. Raises PromptTooLong."""
        context = self._context or params.max_length
        if count.counted:
            return room_for_reply(count.tokens, params, context)
        room = room_for_reply(count.tokens, params, max(params.max_length, context))
        return max(1, min(room, context - int(count.tokens * _MARGIN))) if self._context else room

    def _shortened(
        self, messages: list[ChatMessage], params: SamplingParams, whole: Count
    ) -> tuple[int, int, Count]:
        """From where to where messages are left out, and what is left then."""
        limit = min(params.max_length, self._context or params.max_length)
        spare = int(limit * REPLY_SHARE)
        if params.max_new_tokens is not None:
            spare = min(spare, params.max_new_tokens)
        most, starts = limit - spare, turn_starts(messages)
        start = starts[0]
        if whole.tokens <= most:
            return start, start, whole
        sizes = [self._counts.size(message) for message in messages]
        scale = whole.tokens / max(1, sum(sizes))
        turns = []
        for first, end in pairwise([*starts, len(messages)]):
            question, all_of_it = sizes[first] * scale, sum(sizes[first:end]) * scale
            is_last = end == len(messages)
            turns.append(TurnSize(int(all_of_it if is_last else question), int(all_of_it)))
        frame = int(sum(sizes[:start]) * scale)
        kept = first_kept(frame, turns, most=most, target=min(most, int(limit * KEPT_SHARE)))
        # What was added up was estimated: the rest is counted, and more left out if need be.
        while True:
            rest = self._counts.of([*messages[:start], *messages[starts[kept] :]])
            if rest.tokens <= most or kept == len(starts) - 1:
                return start, starts[kept], rest
            kept += 1
