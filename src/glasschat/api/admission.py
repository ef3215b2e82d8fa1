"""What all requests of this server share: the backend, who is being served, whether it ends."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from glasschat.api.errors import RATE, ApiError, invalid, loading
from glasschat.api.keys import Key
from glasschat.api.options import ApiOptions
from glasschat.api.presence import Presence
from glasschat.api.replies import Replies
from glasschat.backends import LocalBackend


class Desk(Presence):
    """Admits requests to the backend. For the event loop alone."""

    backend: LocalBackend

    def __init__(self, backend: LocalBackend, options: ApiOptions) -> None:
        super().__init__(backend)
        self.options = options
        self._running: set[Replies] = set()
        self._by_key: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def admitted(self, key: Key | None, count: int, room: int) -> Iterator[Replies]:
        """A place for `count` replies, of which `room` at most can run or wait at once.

        Raises ApiError when the key has too many, or when there are never so many places.
        """
        if count > room:
            raise invalid(
                f"{count} replies at once are asked for, and at most {room} can run or wait: "
                "ask for fewer",
                "n",
            )
        name = key.name if key else ""
        most = key.most_running if key else None
        if most is not None and self._by_key[name] + count > most:
            message = f"this key may have {most} replies at once, and {self._by_key[name]} run"
            raise ApiError(429, message, RATE, code="rate_limit_exceeded", retry_after=1)
        replies = Replies()
        self._by_key[name] += count
        self._running.add(replies)
        self._idle.clear()
        try:
            with replies:
                yield replies
        finally:
            self._by_key[name] -= count
            self._running.discard(replies)
            if not self._running:
                self._idle.set()

    async def drain(self) -> None:
        """Take no more, and wait for what runs; after the stated time it is cut off."""
        await super().drain()
        try:
            async with asyncio.timeout(self.options.drain_s):
                await self._idle.wait()
        except TimeoutError:
            for replies in [*self._running]:
                replies.give_up(
                    loading("the server is ending and its time to finish replies has run out")
                )
