"""API client that asks for one reply after the other, and does not always behave well."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from bench.soak.http_client import (
    ConnectionBroken,
    Exchange,
    Response,
    closing,
    open_exchange,
    request,
)
from bench.soak.report import SoakPlan, Tally

CHAT = "/v1/chat/completions"
# What nobody waits for: a reply of this length would hold its slot long after its client has left.
LONG_TOKENS = 1024


class ApiClient:
    """Client that counts what it gets, and records a violation where a reply is not what is due."""

    def __init__(self, number: int, port: int, plan: SoakPlan, tally: Tally) -> None:
        self._name = f"program {number}"
        self._port = port
        self._plan = plan
        self._tally = tally
        self._random = Random(f"{plan.seed} {number}")

    async def run(self, until: float) -> None:
        """Ask until that moment of the monotonic clock, and wait for the last response."""
        behaviours: tuple[Callable[[], Awaitable[None]], ...] = (
            self._stream_reply,
            self._stream_reply,
            self._wait_for_reply,
            self._read_slowly,
            self._disconnect_early,
            self._disconnect_early,
            self._send_partial_request,
        )
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(self._plan.patience_s):
                    await self._random.choice(behaviours)()
            except TimeoutError:
                self._record_violation(f"had no answer within {self._plan.patience_s:g} s")
            except (ConnectionBroken, OSError) as error:
                self._record_violation(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._random.uniform(0, 0.3))

    # --- manners --------------------------------------------------------------------------

    async def _stream_reply(self) -> None:
        await self._ask_for_reply(stream=True)

    async def _wait_for_reply(self) -> None:
        await self._ask_for_reply(stream=False)

    async def _read_slowly(self) -> None:
        async def pause(exchange: Exchange) -> None:
            await exchange.read_some()
            await asyncio.sleep(self._random.uniform(0.2, 1.5))

        await self._ask_for_reply(stream=True, first=pause)

    async def _disconnect_early(self) -> None:
        """Disconnect in the queue, the prompt or the reply: wherever the request is by then."""
        stream = self._random.random() < 0.7
        data = request(CHAT, self._body(LONG_TOKENS, stream=stream))
        with closing(await open_exchange(self._port, data)) as exchange:
            try:
                async with asyncio.timeout(self._random.uniform(0, 1.0)):
                    answer = await exchange.answer()
            except TimeoutError:
                exchange.leave()
                self._tally.count("programs: left before the end")
                return
        if answer.status == 429:
            await self._wait_as_refused(answer)
        else:
            self._record_violation(f"was told {answer.status} at once: {answer.body[:200]!r}")

    async def _send_partial_request(self) -> None:
        whole = request(CHAT, self._body(4, stream=True))
        part = whole[: self._random.randrange(1, len(whole))]
        with closing(await open_exchange(self._port, part)) as exchange:
            await asyncio.sleep(self._random.uniform(0, 0.2))
            exchange.leave()
        self._tally.count("programs: sent a part of a request and left")

    # --- what is due ----------------------------------------------------------------------

    async def _ask_for_reply(
        self, *, stream: bool, first: Callable[[Exchange], Awaitable[None]] | None = None
    ) -> None:
        tokens = self._random.randint(1, self._plan.tokens)
        data = request(CHAT, self._body(tokens, stream=stream))
        with closing(await open_exchange(self._port, data)) as exchange:
            if first is not None:
                await first(exchange)
            answer = await exchange.answer()
        if answer.status == 429:
            await self._wait_as_refused(answer)
        elif answer.status != 200:
            self._record_violation(f"was told {answer.status}: {answer.body[:200]!r}")
        elif (wrong := self._describe_error(answer, tokens, stream=stream)) is not None:
            self._record_violation(f"got a reply that {wrong}")
        else:
            self._tally.count("programs: replies, whole")
            self._tally.count("programs: tokens", tokens)

    async def _wait_as_refused(self, answer: Response) -> None:
        self._tally.count("programs: refused, the queue was full")
        await asyncio.sleep(float(answer.headers["retry-after"]))

    def _describe_error(self, answer: Response, tokens: int, *, stream: bool) -> str | None:
        if stream:
            *events, last = answer.events
            if last != "[DONE]":
                return "does not end as streams do"
            said = [json.loads(event) for event in events]
            failed = [event["error"]["message"] for event in said if "error" in event]
            if failed:
                return f"failed: {failed[0]}"
            reasons = [c["finish_reason"] for e in said for c in e["choices"] if c["finish_reason"]]
            usage = said[-1]["usage"]
        else:
            reasons = [choice["finish_reason"] for choice in answer.json["choices"]]
            usage = answer.json["usage"]
        if reasons != ["length"]:
            return f"ended by {reasons}"
        if usage["completion_tokens"] != tokens:
            return f"has {usage['completion_tokens']} tokens of {tokens}"
        return None

    def _body(self, tokens: int, *, stream: bool) -> dict[str, Any]:
        asked = f"Tell me {self._random.randrange(20)} things about the number {self._name}."
        body: dict[str, Any] = {
            "messages": [{"role": "user", "content": asked}],
            "max_tokens": tokens,
            "ignore_eos": True,
            "seed": self._random.randrange(1000),
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        return body

    def _record_violation(self, what: str) -> None:
        self._tally.record_violation(f"{self._name} {what}")
