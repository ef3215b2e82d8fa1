"""What all requests of this server share: the backend, who is being served, whether it ends."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from glasschat.api.errors import RATE, ApiError, invalid, loading
from glasschat.api.keys import Key
from glasschat.api.options import ApiOptions
from glasschat.api.replies import Replies
from glasschat.backends import Backend, Description, LocalBackend, Readiness


class ServerState:
    """What stands behind the server's paths, and whether it ends. For the event loop alone."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.draining = False

    def described(self) -> Description:
        """What stands behind, as far as everybody may know."""
        return self.backend.describe()

    def ready(self) -> Description:
        """What is being served. Raises ApiError while nothing can be."""
        if self.draining:
            raise loading("the server is ending: ask another, or this one in a moment")
        description = self.described()
        if description.readiness is Readiness.FAILED:
            raise loading(description.error or "the model could not be loaded")
        if description.error is not None:
            raise loading(description.error)
        if description.readiness is Readiness.LOADING:
            share = f"{description.progress:.0%}"
            raise loading(f"the model is still loading, {share} is done: wait a moment")
        return description

    def check_model(self, name: str | None, served: str) -> None:
        """Raise ApiError for a model that is not here."""
        if name not in (None, served):
            message = f"there is no model {name!r} here: the one that is served is {served!r}"
            raise ApiError(404, message, param="model", code="model_not_found")

    async def drain(self) -> None:
        """Take no more."""
        self.draining = True


class AdmissionControl(ServerState):
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
