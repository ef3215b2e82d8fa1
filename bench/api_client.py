"""Client of any OpenAI-compatible server: streams chats and times them."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.rivals import RivalFailed
from bench.rivals._event_stream import read_stream


@dataclass(frozen=True, slots=True)
class StreamedReply:
    """Timing of one reply. `ttft_s` runs from just before the request to the first text.

    `decode_tps` is of the tokens after the first, over the time from the first text to the last.
    """

    tokens: int
    ttft_s: float
    decode_tps: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Replies of several clients, each of which asks again as soon as it has its answer."""

    replies: Sequence[StreamedReply]
    wall_s: float

    @property
    def requests_per_s(self) -> float:
        """Return replies per second, from the first request to the last end."""
        return len(self.replies) / self.wall_s

    @property
    def tokens_per_s(self) -> float:
        """Return tokens per second, over the same time."""
        return sum(reply.tokens for reply in self.replies) / self.wall_s

    def ttft_s(self, share: float) -> float:
        """Return the time to first token at quantile `share`, as 0.5 or 0.95."""
        times = sorted(reply.ttft_s for reply in self.replies)
        return times[min(int(share * len(times)), len(times) - 1)]


def stream_chat(port: int, text: str, tokens: int, **settings: Any) -> StreamedReply:
    """Stream a chat of one turn, its reply of exactly `tokens`. Raises RivalFailed."""
    body = {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **settings,
    }
    return read_stream("a server of the bench", port, "/v1/chat/completions", body, _read)


def _read(events: Iterator[dict[str, Any]], started: float) -> StreamedReply:
    first = last = None
    usage: Mapping[str, Any] = {}
    for event in events:
        if any(choice["delta"].get("content") for choice in event["choices"]):
            last = time.perf_counter()
            first = first or last
        usage = event.get("usage") or usage
    if first is None or last is None or not usage:
        raise RivalFailed("a server of the bench sent an empty reply")
    tokens = int(usage["completion_tokens"])
    speed = (tokens - 1) / (last - first) if last > first else 0.0
    return StreamedReply(tokens, first - started, speed)


def run_clients(clients: int, each: int, send: Callable[[int, int], StreamedReply]) -> LoadResult:
    """Run `clients` threads at once, each with `each` requests in a row: `send(client, request)`.

    Raises RivalFailed when one is lost.
    """
    replies: list[StreamedReply] = []
    lost: list[Exception] = []

    def client(number: int) -> None:
        try:
            replies.extend(send(number, request) for request in range(each))
        except Exception as error:
            lost.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if lost:
        raise RivalFailed(f"a client of the bench was left without its reply: {lost[0]}")
    return LoadResult(replies, time.perf_counter() - started)
