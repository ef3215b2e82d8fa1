"""HTTP client of one server: its address, the key, timeouts; and the thread of its event loop."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from glasschat import __version__
from glasschat.backends.remote.errors import Refusal, unreachable
from glasschat.backends.remote.options import Address
from glasschat.errors import RemoteRefused

MAX_ERROR_BYTES = 64 * 1024
"""Bytes that are read of a response whose status is not 200."""

MAX_BODY_BYTES = 16 * 2**20
"""Bytes that are read of an answer that is no stream."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds: for a connection, for a short answer, for the first token of a reply,
    and for every further token.
    """

    connect_s: float = 10.0
    answer_s: float = 10.0
    first_s: float = 600.0
    idle_s: float = 60.0


class Client:
    """HTTP client for one event loop. Redirects are not followed: the key is this server's."""

    def __init__(self, address: Address, key: str | None, timeouts: Timeouts) -> None:
        self.address = address
        self.key = key
        self.timeouts = timeouts
        headers = {"user-agent": f"glasschat/{__version__}", "accept-encoding": "identity"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        self._http = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(timeouts.answer_s, connect=timeouts.connect_s, pool=None),
            # Servers close connections that were idle for five seconds: none of those is reused.
            limits=httpx2.Limits(max_connections=None, keepalive_expiry=2.0),
            # A server on this machine is not reached through a proxy.
            trust_env=not address.is_loopback,
        )

    async def get(self, url: str) -> tuple[int, Any]:
        """GET a URL: return the status and the JSON of the answer, None where it is no JSON.

        For any status but 200 a `Refusal` instead. Raises RemoteUnreachable.
        """
        return await self._answer("GET", url, None)

    async def post(self, url: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """POST a body: return as `get` does."""
        return await self._answer("POST", url, body)

    async def _answer(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        try:
            async with self._http.stream(method, url, json=body) as response:
                data = await read_bounded(response, MAX_BODY_BYTES)
        except httpx2.HTTPError as error:
            raise unreachable(self.address, error) from error
        if response.status_code != 200:
            return response.status_code, self.refusal(response, data[:MAX_ERROR_BYTES])
        try:
            return 200, json.loads(data)
        except (ValueError, RecursionError):
            return 200, None

    @asynccontextmanager
    async def stream(self, url: str, body: Mapping[str, Any]) -> AsyncIterator[httpx2.Response]:
        """POST a body: return the response as soon as it begins. Raises httpx2.HTTPError."""
        timeout = httpx2.Timeout(None, connect=self.timeouts.connect_s, write=30.0)
        async with self._http.stream("POST", url, json=body, timeout=timeout) as response:
            yield response

    def refusal(self, response: httpx2.Response, data: bytes) -> Refusal:
        """Return what a response says whose status is not 200."""
        return Refusal.read(response.status_code, response.headers, data, secret=self.key)

    async def close(self) -> None:
        """Close all connections to the server."""
        await self._http.aclose()


async def read_bounded(response: httpx2.Response, most: int) -> bytes:
    """Return the whole body of a response. Raises RemoteRefused for more than `most` bytes."""
    data = b""
    async for part in response.aiter_bytes():
        data += part
        if len(data) > most:
            if response.status_code != 200:
                return data
            raise RemoteRefused(
                "the server has sent more than {most} MiB, which is no answer to what was asked: "
                "see whether its address is right",
                most=most // 2**20,
            )
    return data


T = TypeVar("T")


class LoopThread:
    """Event loop in a thread named `name`, which runs coroutines for other threads."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine in the loop; cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop's thread, soon."""
        self._loop.call_soon_threadsafe(function)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what runs, wait for its end, run `last`, and end the thread. To be called once."""
        self.submit(self._cancel_all()).result()
        self.submit(last()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    @staticmethod
    async def _cancel_all() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
