"""One client for every server that has OpenAI's interface: streams chats and times them."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glasschat.bench.rivals import RivalFailed

REPLY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """One reply. `ttft_s` runs from just before the request to the first text.

    `decode_tps` is of the tokens after the first, over the time from the first text to the last.
    """

    tokens: int
    ttft_s: float
    decode_tps: float


@dataclass(frozen=True, slots=True)
class Load:
    """What several clients got, each asking again as soon as it has its answer."""

    replies: Sequence[Streamed]
    wall_s: float

    @property
    def requests_per_s(self) -> float:
        """Replies, over the time from the first request to the last end."""
        return len(self.replies) / self.wall_s

    @property
    def tokens_per_s(self) -> float:
        """Their tokens, over the same time."""
        return sum(reply.tokens for reply in self.replies) / self.wall_s

    def ttft_s(self, share: float) -> float:
        """The time to first token that `share` of the replies kept to: 0.5, 0.95."""
        times = sorted(reply.ttft_s for reply in self.replies)
        return times[min(int(share * len(times)), len(times) - 1)]


def ask(port: int, text: str, tokens: int, **settings: Any) -> Streamed:
    """One chat of one turn, its reply of exactly `tokens`. Raises RivalFailed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REPLY_SECONDS)
    body = {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **settings,
    }
    try:
        payload = json.dumps(body)
        started = time.perf_counter()
        connection.request(
            "POST", "/v1/chat/completions", payload, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            said = answer.read(2_000).decode(errors="replace")
            raise RivalFailed(f"a server of the bench answered {answer.status}: {said}")
        return _read(answer, started)
    except (OSError, http.client.HTTPException) as error:
        raise RivalFailed(f"a server of the bench broke off: {error}") from error
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse, started: float) -> Streamed:
    first = last = None
    usage: Mapping[str, Any] = {}
    for line in answer:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            raise RivalFailed(f"a server of the bench failed in mid-reply: {event['error']}")
        if any(choice["delta"].get("content") for choice in event["choices"]):
            last = time.perf_counter()
            first = first or last
        usage = event.get("usage") or usage
    if first is None or last is None or not usage:
        raise RivalFailed("a server of the bench sent an empty reply")
    tokens = int(usage["completion_tokens"])
    speed = (tokens - 1) / (last - first) if last > first else 0.0
    return Streamed(tokens, first - started, speed)


def load(clients: int, each: int, asking: Callable[[int, int], Streamed]) -> Load:
    """So many clients at once, each with `each` requests in a row: `asking(client, request)`.

    Raises RivalFailed when one is lost.
    """
    replies: list[Streamed] = []
    lost: list[Exception] = []

    def client(number: int) -> None:
        try:
            replies.extend(asking(number, request) for request in range(each))
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
    return Load(replies, time.perf_counter() - started)
