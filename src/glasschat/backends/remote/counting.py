"""How many tokens messages take, by the server's own tokenizer, or by what it counted before."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glasschat.prompt import ChatMessage

Key = tuple[tuple[str, str], ...]
Ask = Callable[[Sequence[ChatMessage]], int | None]
"""Has the server count; None where it does not, or not in time."""

MOST_KEPT = 512
ASK_AGAIN_S = 10.0

# Where nothing was counted yet. Templates write some tokens around every turn.
_BYTES_A_TOKEN = 3.6
_AROUND_A_TURN = 5


@dataclass(frozen=True, slots=True)
class Count:
    """So many tokens, counted or estimated."""

    tokens: int
    counted: bool


class TokenCounts:
    """Counts prompts for what comes after some messages. Safe to use from any thread."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Count] = OrderedDict()
        self._bytes_a_token = _BYTES_A_TOKEN
        self._asks_from = 0.0

    def of(self, messages: Sequence[ChatMessage]) -> Count:
        """That of a prompt; quick where it was counted before."""
        key = _key(messages)
        with self._lock:
            if (found := self._known.get(key)) is not None and found.counted:
                self._known.move_to_end(key)
                return found
            asks = time.monotonic() >= self._asks_from
        if asks:
            if (tokens := self._ask(messages)) is not None:
                count = Count(tokens, True)
                self._keep(key, count)
                return count
            self._asks_from = time.monotonic() + ASK_AGAIN_S
        return Count(self._estimated(key), False)

    def size(self, message: ChatMessage) -> int:
        """About how many tokens one turn takes of a prompt."""
        return self._size(message.text)

    def learn(
        self, messages: Sequence[ChatMessage], prompt: int | None, reply: str, completion: int
    ) -> None:
        """What a reply to `messages` has told."""
        if not prompt:
            return
        key = _key(messages)
        self._keep(key, Count(prompt, True))
        inside = prompt - _AROUND_A_TURN * len(key)
        if inside > 0:
            size = sum(len(text.encode()) for _, text in key)
            self._bytes_a_token = min(8.0, max(1.0, size / inside))
        if key[-1][0] == "assistant":
            key, reply = key[:-1], key[-1][1] + reply
        # Whoever asks on has the reply in the prompt too.
        self._keep((*key, ("assistant", reply)), Count(prompt + completion, False))

    def _estimated(self, key: Key) -> int:
        with self._lock:
            ends = (n for n in range(len(key), 0, -1) if key[:n] in self._known)
            known = next(ends, 0)
            base = self._known[key[:known]].tokens if known else _AROUND_A_TURN
        return base + sum(self._size(text) for _, text in key[known:])

    def _size(self, text: str) -> int:
        return int(len(text.encode()) / self._bytes_a_token) + _AROUND_A_TURN

    def _keep(self, key: Key, count: Count) -> None:
        with self._lock:
            self._known[key] = count
            self._known.move_to_end(key)
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)


def _key(messages: Sequence[ChatMessage]) -> Key:
    return tuple((message.role, message.text) for message in messages)
