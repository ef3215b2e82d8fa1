"""Sends responses as ASGI messages: JSON and server-sent events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.types import Send

from glasschat.api.errors import SERVER, ApiError, to_api_error
from glasschat.api.responses import ResponseModel
from glasschat.errors import GlasschatError

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
# Tells a proxy (nginx) not to collect events before it passes them on.
_NO_BUFFERING = (b"x-accel-buffering", b"no")

Headers = Iterable[tuple[str, str]]


async def send_json(
    send: Send, body: ResponseModel | dict[str, Any], status: int = 200, headers: Headers = ()
) -> None:
    """Send one JSON object as the whole response."""
    data = body.to_bytes() if isinstance(body, ResponseModel) else json.dumps(body).encode()
    await send_bytes(send, data, status, [_JSON, *_encode_headers(headers)])


async def send_bytes(
    send: Send, data: bytes, status: int, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Send one body whose length is known."""
    length = (b"content-length", str(len(data)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": data})


async def send_error(send: Send, error: ApiError, request_id: str) -> None:
    """Send an error, with Retry-After and its other headers."""
    headers = [*error.headers]
    if error.retry_after is not None:
        headers.append(("retry-after", str(error.retry_after)))
    await send_json(send, error.body(request_id), error.status, headers)


class EventStream:
    """Response of server-sent events, which ends with `[DONE]`.

    While there are no events, it sends a comment every KEEP_ALIVE_S seconds, so that no proxy
    closes the connection as dead.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._idle = True

    async def run(self, events: AsyncIterator[ResponseModel]) -> None:
        """Send all events. An error raised by their iterator becomes the last event."""
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": [_EVENTS, _NO_BUFFERING]}
        )
        keep_alive = asyncio.ensure_future(self._keep_alive())
        try:
            await self._send_events(events)
        finally:
            keep_alive.cancel()
        await self._send_body(b"data: [DONE]\n\n", last=True)

    async def _send_events(self, events: AsyncIterator[ResponseModel]) -> None:
        try:
            async for event in events:
                await self._send_body(b"data: " + event.to_bytes() + b"\n\n")
        except (ApiError, GlasschatError) as error:
            response = error if isinstance(error, ApiError) else to_api_error(error)
        except ConnectionError:
            raise
        except Exception:
            log.exception("request %s failed in its stream", self._request_id)
            response = ApiError(500, "internal error", SERVER, code="internal_error")
        else:
            return
        body = json.dumps(response.body(self._request_id)).encode()
        await self._send_body(b"data: " + body + b"\n\n")

    async def _send_body(self, data: bytes, *, last: bool = False) -> None:
        self._idle = False
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _keep_alive(self) -> None:
        while True:
            self._idle = True
            await asyncio.sleep(KEEP_ALIVE_S)
            if self._idle:
                await self._send_body(b": waiting\n\n")


def _encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
