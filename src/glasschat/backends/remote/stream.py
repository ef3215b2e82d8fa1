"""One streamed reply, from its request to its last event."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2

from glasschat.backends.remote.client import MAX_BODY_BYTES, MAX_ERROR_BYTES, Client, read_bounded
from glasschat.backends.remote.errors import connection_lost, no_data, unreachable
from glasschat.backends.remote.reply import RemoteReply
from glasschat.backends.remote.request import AcceptedFields
from glasschat.backends.remote.sse import DONE, Chunk, EventReader, read_chunk
from glasschat.engine import FinishReason
from glasschat.errors import GlasschatError, RemoteError, RemoteRefused
from glasschat.messages import Message

log = logging.getLogger(__name__)

CHAT = "/chat/completions"
# Seconds to wait after the finish reason, for the token counts and the end of the stream.
LAST_S = 5.0
# Statuses with which servers refuse a field that they do not know.
_REFUSING_STATUSES = (400, 422, 501)

_ENDINGS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class ReplyStream:
    """Requests a reply and writes its events into a `RemoteReplyWriter`.

    `body` makes the request from the fields that the server has not refused yet, at first
    `accepted_fields`. A field that it refuses is left out from then on, and `remember` is called
    with the rest. `accepted` is fulfilled once the server has begun to answer, or has the reason
    why it never will. `failure` is why the reply failed.
    """

    def __init__(
        self,
        client: Client,
        reply: RemoteReply,
        body: Callable[[AcceptedFields], dict[str, Any]],
        accepted_fields: AcceptedFields,
        remember: Callable[[AcceptedFields], None],
        *,
        model: str,
    ) -> None:
        self.accepted: Future[None] = Future()
        self.failure: GlasschatError | None = None
        self._client = client
        self._writer = reply.writer
        self._body = body
        self._accepted = accepted_fields
        self._remember = remember
        self._model = model
        self._began = False
        self._server_reason: str | None = None

    async def run(self) -> None:
        """Run until the reply has ended, for whatever reason; a cancelled one stays as it is."""
        try:
            await self._ask()
        except asyncio.CancelledError:
            self._writer.finish(FinishReason.CANCELLED)
        except GlasschatError as error:
            self._fail(error)
        except httpx2.HTTPError as error:
            address = self._client.address
            self._fail(connection_lost(address) if self._began else unreachable(address, error))
        except Exception as error:
            log.exception("a reply from %s failed", self._client.address)
            self._fail(RemoteError("internal error: {type}", type=type(error).__name__))
        else:
            self._end()
        if not self.accepted.done():
            self.accepted.set_result(None)

    def _fail(self, error: GlasschatError) -> None:
        if self._server_reason is not None:
            # The reply is complete: only the token counts are missing.
            self._end()
            return
        self.failure = error
        self._writer.finish(FinishReason.ERROR, error.message)
        if not self.accepted.done():
            self.accepted.set_exception(error)

    def _end(self) -> None:
        reason, error = self._ending()
        self._writer.finish(reason, error)

    def _ending(self) -> tuple[FinishReason, Message | None]:
        address, why = self._client.address, self._server_reason or "stop"
        if why in _ENDINGS:
            return _ENDINGS[why], None
        if why == "content_filter":
            error = RemoteRefused(
                "{address} has filtered the rest of this reply: ask otherwise", address=address
            )
        elif why in ("tool_calls", "function_call"):
            error = RemoteRefused(
                "{address} wants to call a tool, and there is none here", address=address
            )
        else:
            error = RemoteRefused(
                "{address} ended the reply for a reason of its own: {why}",
                address=address,
                why=repr(why[:40]),
            )
        return FinishReason.ERROR, error.message

    async def _ask(self) -> None:
        while True:
            async with self._answer() as response:
                if response.status_code == 200:
                    self.accepted.set_result(None)
                    await self._read(response)
                    return
                refusal = self._client.refusal(
                    response, await read_bounded(response, MAX_ERROR_BYTES)
                )
            fewer: AcceptedFields | None = None
            if refusal.status in _REFUSING_STATUSES:
                fewer = self._accepted.without(refusal.message)
            if fewer is None:
                raise refusal.error(
                    self._client.address, self._model, has_key=self._client.key is not None
                )
            self._accepted = fewer
            self._remember(fewer)

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[httpx2.Response]:
        body = self._body(self._accepted)
        async with AsyncExitStack() as stack:
            async with self._limit_wait():
                answer = self._client.stream(self._client.address.path(CHAT), body)
                response = await stack.enter_async_context(answer)
            yield response

    async def _read(self, response: httpx2.Response) -> None:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            async with self._limit_wait():
                whole = await read_bounded(response, MAX_BODY_BYTES)
            self._take(read_chunk(whole.decode(errors="replace"), secret=self._client.key))
            self._server_reason = self._server_reason or "stop"
            return
        events = EventReader()
        pieces = response.aiter_bytes()
        while True:
            async with self._limit_wait():
                piece = await anext(pieces, None)
            if piece is None:
                break
            for data in events.push(piece):
                if data.strip() == DONE:
                    return
                self._take(read_chunk(data, secret=self._client.key))
        if self._server_reason is None:
            raise connection_lost(self._client.address)

    def _take(self, chunk: Chunk) -> None:
        if chunk.refusal is not None:
            raise chunk.refusal.error(
                self._client.address, self._model, has_key=self._client.key is not None
            )
        self._began = self._began or bool(chunk.text or chunk.thought or chunk.tokens)
        self._server_reason = chunk.finish_reason or self._server_reason
        self._writer.receive(chunk)

    @asynccontextmanager
    async def _limit_wait(self) -> AsyncIterator[None]:
        timeouts = self._client.timeouts
        limit = timeouts.idle_s if self._began else timeouts.first_s
        try:
            async with asyncio.timeout(LAST_S if self._server_reason else limit):
                yield
        except TimeoutError:
            raise no_data(self._client.address, limit, began=self._began) from None
