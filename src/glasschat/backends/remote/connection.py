"""The connection to a server: discovery, retries until it answers, and again when it is lost."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from glasschat.backends.remote.client import Client, LoopThread, Timeouts
from glasschat.backends.remote.discovery import ServerInfo, discover
from glasschat.backends.remote.options import RemoteOptions
from glasschat.backends.remote.token_counts import RemoteFitter, TokenCounts, count_tokens
from glasschat.errors import EngineStopped, GlasschatError, RemoteError
from glasschat.messages import Message
from glasschat.prompt import ChatMessage

log = logging.getLogger(__name__)

COUNT_S = 3.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 10.0
LOOK_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that was found, with the token counts that were learnt since."""

    info: ServerInfo
    counts: TokenCounts
    fitter: RemoteFitter


class ServerConnection:
    """Looks for a server until it answers, again when it was lost, and every LOOK_AGAIN_S seconds.

    All connections live in the thread of its `loop`. `server` is the server as it was found
    last, `error` why it cannot be reached now.
    """

    def __init__(self, options: RemoteOptions, timeouts: Timeouts) -> None:
        self.server: KnownServer | None = None
        self.error: Message | None = None
        self._options = options
        self._closed = False
        self.loop = LoopThread("glasschat-remote")
        self.client, self._lost = self.loop.submit(self._create_client(timeouts)).result()

    async def _create_client(self, timeouts: Timeouts) -> tuple[Client, asyncio.Event]:
        """Make the client and the event in the thread of the loop that they belong to."""
        return Client(self._options.address, self._options.key, timeouts), asyncio.Event()

    def require(self) -> KnownServer:
        """Return the server. Raises RemoteError until it is found, EngineStopped after `close`."""
        if self._closed:
            raise EngineStopped("the connection to the server has been closed")
        if self.server is None:
            if self.error is not None:
                raise RemoteError(self.error)
            raise RemoteError(
                "{address} is still being looked for: wait a moment", address=self._options.address
            )
        return self.server

    async def look(self) -> None:
        """Discover the server once, and keep what is known of it. Raises RemoteError."""
        options = self._options
        try:
            info = await discover(
                self.client, model=options.model, kind=options.kind, context=options.context
            )
        except GlasschatError as error:
            self.error = error.message
            raise
        self.error = None
        if self.server is None or self.server.info != info:
            counts = TokenCounts(partial(self._count, info))
            self.server = KnownServer(info, counts, RemoteFitter(counts, info.context))

    async def reconnect_forever(self) -> None:
        """Look for the server until it answers, and again whenever it was lost; never ends."""
        pause, logged = FIRST_PAUSE_S, ""
        while True:
            self._lost.clear()
            try:
                await self.look()
            except GlasschatError as error:
                if str(error) != logged:
                    logged = str(error)
                    log.error("%s", logged)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            except Exception:
                log.exception("looking for %s failed", self._options.address)
                await asyncio.sleep(LONGEST_PAUSE_S)
            else:
                pause, logged = FIRST_PAUSE_S, ""
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), LOOK_AGAIN_S)

    def mark_lost(self) -> None:
        """Look for the server again, after something went wrong with it."""
        if not self._closed:
            self.loop.call(self._lost.set)

    def close(self) -> None:
        """End every connection. May be called more than once."""
        if not self._closed:
            self._closed = True
            self.loop.close(self.client.close)

    def _count(self, info: ServerInfo, messages: Sequence[ChatMessage]) -> int | None:
        work = self.loop.submit(count_tokens(self.client, info, messages))
        try:
            return work.result(COUNT_S)
        except (TimeoutError, CancelledError, GlasschatError):
            work.cancel()
            return None
