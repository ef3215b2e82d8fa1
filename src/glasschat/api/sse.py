"""Responses as ASGI messages: JSON, and server-sent events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.types import Send

from glasschat.api.errors import SERVER, ApiError, as_api_error
from glasschat.api.responses import Answer
from glasschat.errors import GlasschatError

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
# A proxy that collects events before it passes them on would undo the streaming.
_LIVE = (b"x-accel-buffering", b"no")

Headers = Iterable[tuple[str, str]]


async def send_json(
    send: Send, body: Answer | dict[str, Any], status: int = 200, headers: Headers = ()
) -> None:
    """One JSON object."""
    data = body.wire() if isinstance(body, Answer) else json.dumps(body).encode()
    await send_bytes(send, data, status, [_JSON, *_encoded(headers)])


async def send_bytes(
    send: Send, data: bytes, status: int, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """One body of a known length."""
    length = (b"content-length", str(len(data)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": data})


async def send_error(send: Send, error: ApiError, request_id: str) -> None:
    """An error, with what a client should know of it in the headers."""
    headers = [*error.headers]
    if error.retry_after is not None:
        headers.append(("retry-after", str(error.retry_after)))
    await send_json(send, error.body(request_id), error.status, headers)


class EventStream:
    """A response of events, the last of which is `[DONE]`.

    While there is nothing to tell, a comment goes out now and then, so that no proxy takes the
    connection for dead.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._quiet = True

    async def run(self, events: AsyncIterator[Answer]) -> None:
        """Send them all. An error that they raise becomes an event."""
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": [_EVENTS, _LIVE]}
        )
        alive = asyncio.ensure_future(self._keep_alive())
        try:
            await self._events(events)
        finally:
            alive.cancel()
        await self._body(b"data: [DONE]\n\n", last=True)

    async def _events(self, events: AsyncIterator[Answer]) -> None:
        try:
            async for event in events:
                await self._body(b"data: " + event.wire() + b"\n\n")
        except (ApiError, GlasschatError) as error:
            told = error if isinstance(error, ApiError) else as_api_error(error)
        except ConnectionError:
            raise
        except Exception:
            log.exception("request %s failed in its stream", self._request_id)
            told = ApiError(500, "internal error", SERVER, code="internal_error")
        else:
            return
        body = json.dumps(told.body(self._request_id)).encode()
        await self._body(b"data: " + body + b"\n\n")

    async def _body(self, data: bytes, *, last: bool = False) -> None:
        self._quiet = False
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _keep_alive(self) -> None:
        while True:
            self._quiet = True
            await asyncio.sleep(KEEP_ALIVE_S)
            if self._quiet:
                await self._body(b": waiting\n\n")


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
