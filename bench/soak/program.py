"""A program that asks for one reply after the other, and is not always polite."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from bench.soak.report import SoakPlan, Tally
from bench.soak.wire import Answer, BrokenOff, Exchange, closing, request, sent

CHAT = "/v1/chat/completions"
# What nobody waits for: a reply of this length would hold its slot long after its client has left.
LONG_TOKENS = 1024


class Program:
    """Counts what it gets, and says so where it does not get what it was promised."""

    def __init__(self, number: int, port: int, plan: SoakPlan, tally: Tally) -> None:
        self._name = f"program {number}"
        self._port = port
        self._plan = plan
        self._tally = tally
        self._random = Random(f"{plan.seed} {number}")

    async def run(self, until: float) -> None:
        """Ask until that moment of the monotonic clock, and wait for the last answer."""
        manners: tuple[Callable[[], Awaitable[None]], ...] = (
            self._streams,
            self._streams,
            self._waits,
            self._dawdles,
            self._leaves,
            self._leaves,
            self._says_half,
        )
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(self._plan.patience_s):
                    await self._random.choice(manners)()
            except TimeoutError:
                self._breaks(f"had no answer within {self._plan.patience_s:g} s")
            except (BrokenOff, OSError) as error:
                self._breaks(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._random.uniform(0, 0.3))

    # --- manners --------------------------------------------------------------------------

    async def _streams(self) -> None:
        await self._complete(stream=True)

    async def _waits(self) -> None:
        await self._complete(stream=False)

    async def _dawdles(self) -> None:
        async def pause(exchange: Exchange) -> None:
            await exchange.read_some()
            await asyncio.sleep(self._random.uniform(0.2, 1.5))

        await self._complete(stream=True, first=pause)

    async def _leaves(self) -> None:
        """In the queue, in the prompt, in the reply: wherever it is by then."""
        stream = self._random.random() < 0.7
        data = request(CHAT, self._body(LONG_TOKENS, stream=stream))
        with closing(await sent(self._port, data)) as exchange:
            try:
                async with asyncio.timeout(self._random.uniform(0, 1.0)):
                    answer = await exchange.answer()
            except TimeoutError:
                exchange.leave()
                self._tally.count("programs: left before the end")
                return
        if answer.status == 429:
            await self._refused(answer)
        else:
            self._breaks(f"was told {answer.status} at once: {answer.body[:200]!r}")

    async def _says_half(self) -> None:
        whole = request(CHAT, self._body(4, stream=True))
        part = whole[: self._random.randrange(1, len(whole))]
        with closing(await sent(self._port, part)) as exchange:
            await asyncio.sleep(self._random.uniform(0, 0.2))
            exchange.leave()
        self._tally.count("programs: sent a part of a request and left")

    # --- what is due ----------------------------------------------------------------------

    async def _complete(
        self, *, stream: bool, first: Callable[[Exchange], Awaitable[None]] | None = None
    ) -> None:
        tokens = self._random.randint(1, self._plan.tokens)
        data = request(CHAT, self._body(tokens, stream=stream))
        with closing(await sent(self._port, data)) as exchange:
            if first is not None:
                await first(exchange)
            answer = await exchange.answer()
        if answer.status == 429:
            await self._refused(answer)
        elif answer.status != 200:
            self._breaks(f"was told {answer.status}: {answer.body[:200]!r}")
        elif (wrong := self._wrong(answer, tokens, stream=stream)) is not None:
            self._breaks(f"got a reply that {wrong}")
        else:
            self._tally.count("programs: replies, whole")
            self._tally.count("programs: tokens", tokens)

    async def _refused(self, answer: Answer) -> None:
        self._tally.count("programs: refused, the queue was full")
        await asyncio.sleep(float(answer.headers["retry-after"]))

    def _wrong(self, answer: Answer, tokens: int, *, stream: bool) -> str | None:
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

    def _breaks(self, what: str) -> None:
        self._tally.breaks(f"{self._name} {what}")
