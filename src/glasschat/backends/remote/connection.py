"""The connection to a server: discovery, retries until it answers, and again when it is lost."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from glasschat.backends.remote.client import Client, LoopThread, Patience
from glasschat.backends.remote.discovery import Found, discover
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
class Reached:
    """A server that was found, with the token counts that were learnt since."""

    found: Found
    counts: TokenCounts
    fitter: RemoteFitter


class ServerConnection:
    """Looks for a server until it is there, again when it was lost, and now and then to be sure.

    All connections live in the thread of its `loop`. `reached` is the server as it was found
    last, `trouble` why it cannot be asked now.
    """

    def __init__(self, options: RemoteOptions, patience: Patience) -> None:
        self.reached: Reached | None = None
        self.trouble: Message | None = None
        self._options = options
        self._closed = False
        self.loop = LoopThread("glasschat-remote")
        self.client, self._lost = self.loop.submit(self._opened(patience)).result()

    async def _opened(self, patience: Patience) -> tuple[Client, asyncio.Event]:
        """Make the client and the event in the thread of the loop that they belong to."""
        return Client(self._options.address, self._options.key, patience), asyncio.Event()

    def require(self) -> Reached:
        """Return the server. Raises RemoteError until it is found, EngineStopped after `close`."""
        if self._closed:
            raise EngineStopped("the connection to the server has been closed")
        if self.reached is None:
            if self.trouble is not None:
                raise RemoteError(self.trouble)
            raise RemoteError(
                "{address} is still being looked for: wait a moment", address=self._options.address
            )
        return self.reached

    async def look(self) -> None:
        """Ask the server what it is. Raises RemoteError."""
        asked = self._options
        try:
            found = await discover(
                self.client, model=asked.model, kind=asked.kind, context=asked.context
            )
        except GlasschatError as error:
            self.trouble = error.message
            raise
        self.trouble = None
        if self.reached is None or self.reached.found != found:
            counts = TokenCounts(partial(self._count, found))
            self.reached = Reached(found, counts, RemoteFitter(counts, found.context))

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
        """End every connection. More than once does no harm."""
        if not self._closed:
            self._closed = True
            self.loop.close(self.client.close)

    def _count(self, found: Found, messages: Sequence[ChatMessage]) -> int | None:
        work = self.loop.submit(count_tokens(self.client, found, messages))
        try:
            return work.result(COUNT_S)
        except (TimeoutError, CancelledError, GlasschatError):
            work.cancel()
            return None
