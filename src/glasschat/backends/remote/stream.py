"""One streamed reply, from its request to its last event."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2

from glasschat.backends.remote.client import MOST_SAID, MOST_WHOLE, Client, bounded
from glasschat.backends.remote.errors import broke_off, silent, unreachable
from glasschat.backends.remote.reply import RemoteReply
from glasschat.backends.remote.request import AcceptedFields
from glasschat.backends.remote.sse import DONE, Chunk, EventReader, read_chunk
from glasschat.engine import FinishReason
from glasschat.errors import GlasschatError, RemoteError, RemoteRefused
from glasschat.messages import Message

log = logging.getLogger(__name__)

CHAT = "/chat/completions"
# After the reason of the end: the tokens that were counted, and that nothing more comes.
LAST_S = 5.0
# A server that does not know a field may say so in any of these.
_MISSED = (400, 422, 501)

_ENDINGS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class ReplyStream:
    """Asks for a reply and writes what comes into its handle.

    `body` makes the request for what the server has not refused yet, `accepted_fields`; what
    it refuses of that is left out from then on, and `remember` called. `accepted` is fulfilled once the server has
    begun to answer, or has the reason why it never will. `failure` is why the reply failed.
    """

    def __init__(
        self,
        client: Client,
        reply: RemoteReply,
        body: Callable[[AcceptedFields], dict[str, Any]],
        manners: AcceptedFields,
        remember: Callable[[AcceptedFields], None],
        *,
        model: str,
    ) -> None:
        self.accepted: Future[None] = Future()
        self.failure: GlasschatError | None = None
        self._client = client
        self._writer = reply.writer
        self._body = body
        self._accepted = manners
        self._remember = remember
        self._model = model
        self._began = False
        self._ended: str | None = None

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
            self._fail(broke_off(address) if self._began else unreachable(address, error))
        except Exception as error:
            log.exception("a reply from %s failed", self._client.address)
            self._fail(RemoteError("internal error: {type}", type=type(error).__name__))
        else:
            self._end()
        if not self.accepted.done():
            self.accepted.set_result(None)

    def _fail(self, error: GlasschatError) -> None:
        if self._ended is not None:
            # All of it has come: what was missing is a count.
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
        address, why = self._client.address, self._ended or "stop"
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
                refusal = self._client.refusal(response, await bounded(response, MOST_SAID))
            less = self._accepted.without(refusal.said) if refusal.status in _MISSED else None
            if less is None:
                raise refusal.error(
                    self._client.address, self._model, has_key=self._client.key is not None
                )
            self._accepted = less
            self._remember(less)

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[httpx2.Response]:
        body = self._body(self._accepted)
        async with AsyncExitStack() as stack:
            async with self._in_time():
                answer = self._client.stream(self._client.address.path(CHAT), body)
                response = await stack.enter_async_context(answer)
            yield response

    async def _read(self, response: httpx2.Response) -> None:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            async with self._in_time():
                whole = await bounded(response, MOST_WHOLE)
            self._take(read_chunk(whole.decode(errors="replace"), secret=self._client.key))
            self._ended = self._ended or "stop"
            return
        events = EventReader()
        pieces = response.aiter_bytes()
        while True:
            async with self._in_time():
                piece = await anext(pieces, None)
            if piece is None:
                break
            for data in events.push(piece):
                if data.strip() == DONE:
                    return
                self._take(read_chunk(data, secret=self._client.key))
        if self._ended is None:
            raise broke_off(self._client.address)

    def _take(self, chunk: Chunk) -> None:
        if chunk.refusal is not None:
            raise chunk.refusal.error(
                self._client.address, self._model, has_key=self._client.key is not None
            )
        self._began = self._began or bool(chunk.text or chunk.thought or chunk.tokens)
        self._ended = chunk.ended or self._ended
        self._writer.receive(chunk)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        patience = self._client.patience
        limit = patience.idle_s if self._began else patience.first_s
        try:
            async with asyncio.timeout(LAST_S if self._ended else limit):
                yield
        except TimeoutError:
            raise silent(self._client.address, limit, began=self._began) from None
