"""Client of llama.cpp's own server, the peer. `_server_process` starts it."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.rivals._event_stream import read_stream
from bench.rivals._libraries import RivalFailed

# Top-k and min-p stay at the server's own defaults, which make its sampling cheaper.
SAMPLING: Mapping[str, float] = {"temperature": 0.7, "top_p": 0.8, "repeat_penalty": 1.005}


@dataclass(frozen=True, slots=True)
class ServerReply:
    """One streamed reply, timed by its client.

    `ttft_s` runs from just before the request is sent to the first text. `decode_tps` counts
    the tokens after the first one, over the time from the first text to the last. `started`
    and `ended` are `time.perf_counter()` values.
    """

    text: str
    prompt_tokens: int
    cached_tokens: int
    tokens: int
    ttft_s: float
    decode_tps: float
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class ServerParallel:
    """Replies at once, and all their tokens over the time from first request to last end."""

    replies: tuple[ServerReply, ...]
    wall_s: float
    total_tps: float


class LlamaServer:
    """A client of a running llama-server; safe to use from several threads at once."""

    def __init__(self, port: int, system_info: str) -> None:
        self.port = port
        self.system_info = system_info

    def complete(
        self,
        prompt_ids: Sequence[int],
        n_tokens: int,
        *,
        cache_prompt: bool = True,
        **sampling: Any,
    ) -> ServerReply:
        """Continue `prompt_ids` by exactly `n_tokens`; `sampling` overrides SAMPLING."""
        return self._stream(
            "/completion",
            {
                **SAMPLING,
                "prompt": list(prompt_ids),
                "n_predict": n_tokens,
                "ignore_eos": True,
                "cache_prompt": cache_prompt,
                **sampling,
            },
        )

    def chat(
        self, messages: Sequence[Mapping[str, str]], n_tokens: int, **sampling: Any
    ) -> ServerReply:
        """Answer a chat by exactly `n_tokens`, with the KV cache of earlier turns reused."""
        return self._stream(
            "/v1/chat/completions",
            {
                **SAMPLING,
                "messages": [dict(message) for message in messages],
                "max_tokens": n_tokens,
                "ignore_eos": True,
                "cache_prompt": True,
                "timings_per_token": False,
                **sampling,
            },
        )

    def parallel(
        self, prompts: Sequence[Sequence[int]], n_tokens: int, **sampling: Any
    ) -> ServerParallel:
        """One thread a prompt, all sent at once, each continued by exactly `n_tokens`."""
        replies: list[ServerReply | BaseException | None] = [None] * len(prompts)

        def ask(index: int) -> None:
            try:
                replies[index] = self.complete(prompts[index], n_tokens, **sampling)
            except BaseException as error:
                replies[index] = error

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(prompts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done: list[ServerReply] = []
        for reply in replies:
            if not isinstance(reply, ServerReply):
                raise RivalFailed("llama-server lost one of several replies") from reply
            done.append(reply)
        wall_s = max(reply.ended for reply in done) - min(reply.started for reply in done)
        total = sum(reply.tokens for reply in done)
        return ServerParallel(tuple(done), wall_s, total / wall_s)

    def _stream(self, path: str, body: dict[str, Any]) -> ServerReply:
        return read_stream("llama-server", self.port, path, {**body, "stream": True}, _read)


def _read(events: Iterator[dict[str, Any]], started: float) -> ServerReply:
    pieces: list[str] = []
    first = last = started
    timings: Mapping[str, Any] = {}
    for event in events:
        if choices := event.get("choices"):
            piece = choices[0]["delta"].get("content") or ""
        else:
            piece = event.get("content") or ""
        if piece:
            last = time.perf_counter()
            if not pieces:
                first = last
            pieces.append(piece)
        timings = event.get("timings") or timings
    if not pieces or not timings:
        raise RivalFailed("llama-server's reply was empty")
    tokens = int(timings["predicted_n"])
    cached = int(timings.get("cache_n", 0))
    return ServerReply(
        text="".join(pieces),
        prompt_tokens=int(timings["prompt_n"]) + cached,
        cached_tokens=cached,
        tokens=tokens,
        ttft_s=first - started,
        decode_tps=(tokens - 1) / (last - first) if last > first else 0.0,
        started=started,
        ended=time.perf_counter(),
    )
