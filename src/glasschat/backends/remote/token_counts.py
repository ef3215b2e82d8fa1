"""Token counts of prompts at a server, and the fitting of conversations into its context."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from glasschat.backends.remote.client import Client
from glasschat.backends.remote.dialect import Counting
from glasschat.backends.remote.discovery import ServerInfo
from glasschat.backends.remote.reply import RemotePrompt
from glasschat.backends.remote.request import wire_messages
from glasschat.prompt import ChatMessage, ContextPolicy, conversation, room_for_reply
from glasschat.prompt.fitting import KEPT_SHARE, REPLY_SHARE, choose_first_kept, turn_starts
from glasschat.prompt.token_counts import TurnTokens
from glasschat.sampling import SamplingParams

Key = tuple[tuple[str, str], ...]
RequestCount = Callable[[Sequence[ChatMessage]], int | None]
"""Requests a count from the server; returns None where it does not count, or not in time."""

MAX_COUNTS = 512
RETRY_S = 10.0

# Estimates until the server has counted. Templates write some tokens around every turn.
_BYTES_PER_TOKEN = 3.6
_TOKENS_AROUND_TURN = 5


@dataclass(frozen=True, slots=True)
class Count:
    """A number of tokens, counted or estimated."""

    tokens: int
    counted: bool


class TokenCounts:
    """Counts the tokens of prompts, and remembers them. Safe to use from any thread."""

    def __init__(self, request: RequestCount) -> None:
        self._request = request
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Count] = OrderedDict()
        self._bytes_per_token = _BYTES_PER_TOKEN
        self._retry_at = 0.0

    def of(self, messages: Sequence[ChatMessage]) -> Count:
        """Return the count of a prompt; quick where it was counted before."""
        key = _key(messages)
        with self._lock:
            if (found := self._known.get(key)) is not None and found.counted:
                self._known.move_to_end(key)
                return found
            may_request = time.monotonic() >= self._retry_at
        if may_request:
            if (tokens := self._request(messages)) is not None:
                count = Count(tokens, True)
                self._remember(key, count)
                return count
            self._retry_at = time.monotonic() + RETRY_S
        return Count(self._estimate(key), False)

    def size(self, message: ChatMessage) -> int:
        """Return about how many tokens one turn takes of a prompt."""
        return self._size(message.text)

    def learn(
        self, messages: Sequence[ChatMessage], prompt: int | None, reply: str, completion: int
    ) -> None:
        """Learn from the usage that a server reported for a reply to `messages`."""
        if not prompt:
            return
        key = _key(messages)
        self._remember(key, Count(prompt, True))
        inside = prompt - _TOKENS_AROUND_TURN * len(key)
        if inside > 0:
            size = sum(len(text.encode()) for _, text in key)
            self._bytes_per_token = min(8.0, max(1.0, size / inside))
        if key[-1][0] == "assistant":
            key, reply = key[:-1], key[-1][1] + reply
        # The prompt of the next question contains the reply.
        self._remember((*key, ("assistant", reply)), Count(prompt + completion, False))

    def _estimate(self, key: Key) -> int:
        with self._lock:
            ends = (n for n in range(len(key), 0, -1) if key[:n] in self._known)
            known = next(ends, 0)
            base = self._known[key[:known]].tokens if known else _TOKENS_AROUND_TURN
        return base + sum(self._size(text) for _, text in key[known:])

    def _size(self, text: str) -> int:
        return int(len(text.encode()) / self._bytes_per_token) + _TOKENS_AROUND_TURN

    def _remember(self, key: Key, count: Count) -> None:
        with self._lock:
            self._known[key] = count
            self._known.move_to_end(key)
            while len(self._known) > MAX_COUNTS:
                self._known.popitem(last=False)


def _key(messages: Sequence[ChatMessage]) -> Key:
    return tuple((message.role, message.text) for message in messages)


# An estimate must not fill the context to its last token: the server would refuse.
_MARGIN = 1.1


class RemoteFitter:
    """Fits conversations into a context whose tokens only the server can count.

    A count decides. An estimate decides about max length alone; the server decides about its
    context.
    `context` is 0 where it is not known.
    """

    def __init__(self, counts: TokenCounts, context: int) -> None:
        self._counts = counts
        self._context = context

    def fit(
        self, messages: Sequence[ChatMessage], params: SamplingParams, policy: ContextPolicy
    ) -> tuple[list[ChatMessage], RemotePrompt]:
        """Return the messages that stay, and how many tokens they are.

        Whole turns are left out, as `PromptFitter` does. Raises InvalidMessage, PromptTooLong.
        """
        turns = list(conversation(messages))
        kept, left_out = turns, tuple[int, ...]()
        count = self._counts.of(turns)
        if policy is ContextPolicy.LEAVE_OUT_OLDEST:
            start, end, count = self._choose_left_out(turns, params, count)
            kept, left_out = [*turns[:start], *turns[end:]], tuple(range(start, end))
        self.room(count, params)
        return kept, RemotePrompt(count.tokens, left_out, count.counted)

    def room(self, count: Count | RemotePrompt, params: SamplingParams) -> int:
        """Return how many tokens may come after a prompt of `count`. Raises PromptTooLong."""
        context = self._context or params.max_length
        if count.counted:
            return room_for_reply(count.tokens, params, context)
        room = room_for_reply(count.tokens, params, max(params.max_length, context))
        return max(1, min(room, context - int(count.tokens * _MARGIN))) if self._context else room

    def _choose_left_out(
        self, messages: list[ChatMessage], params: SamplingParams, whole: Count
    ) -> tuple[int, int, Count]:
        """Return from where to where messages are left out, and the count of the rest."""
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
            question, whole_turn = sizes[first] * scale, sum(sizes[first:end]) * scale
            is_last = end == len(messages)
            turns.append(TurnTokens(int(whole_turn if is_last else question), int(whole_turn)))
        frame = int(sum(sizes[:start]) * scale)
        kept = choose_first_kept(frame, turns, most=most, target=min(most, int(limit * KEPT_SHARE)))
        # The sum was an estimate: the rest is counted, and more is left out if need be.
        while True:
            rest = self._counts.of([*messages[:start], *messages[starts[kept] :]])
            if rest.tokens <= most or kept == len(starts) - 1:
                return start, starts[kept], rest
            kept += 1


async def count_tokens(
    client: Client, info: ServerInfo, messages: Sequence[ChatMessage]
) -> int | None:
    """Have the server count the prompt for what comes after `messages`; None where it does not.

    vLLM and glasschat count by POST /tokenize with messages, llama-server by POST
    /apply-template and then /tokenize. Raises RemoteError.
    """
    counting, address = info.dialect.counting, client.address
    if counting is Counting.NONE:
        return None
    body: dict[str, Any] = {"messages": wire_messages(messages)}
    goes_on = messages[-1].role == "assistant"
    if counting is not Counting.MESSAGES:
        body |= {"add_generation_prompt": not goes_on, "continue_final_message": goes_on}
    if counting is Counting.TEMPLATE:
        _, made = await client.post(address.beside("/apply-template"), body)
        prompt = made.get("prompt") if isinstance(made, dict) else None
        if not isinstance(prompt, str):
            return None
        text = {"content": prompt, "add_special": True, "parse_special": True}
        _, answer = await client.post(address.beside("/tokenize"), text)
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        return len(tokens) if isinstance(tokens, list) else None
    _, answer = await client.post(address.beside("/tokenize"), {"model": info.model, **body})
    return _count(answer)


def _count(answer: Any) -> int | None:
    count = answer.get("count") if isinstance(answer, Mapping) else None
    return count if type(count) is int and count > 0 else None
