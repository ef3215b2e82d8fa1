"""Admission of requests: whether the server is ready, and how many replies each key may have."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from glasschat.api.errors import RATE, ApiError, invalid_request, unavailable
from glasschat.api.keys import Key
from glasschat.api.options import ApiOptions
from glasschat.api.replies import Replies
from glasschat.backends import Backend, Description, LocalBackend, Readiness
from glasschat.messages import Message


class ServerState:
    """Readiness of the backend, and whether this server is shutting down.

    Used from the event loop only.
    """

    def __init__(self, backend: Backend, public_error: Message | None = None) -> None:
        """`public_error` replaces the backend's own error message in what clients see.

        A remote backend's message contains the address of the other server, which only the
        operator of this one needs to know.
        """
        self._backend = backend
        self._public_error = public_error
        self.draining = False

    def describe(self) -> Description:
        """Return the description of the backend that any client may see."""
        description = self._backend.describe()
        if description.error is not None and self._public_error is not None:
            return replace(description, error=self._public_error)
        return description

    def require_ready(self) -> Description:
        """Return the description of the backend. Raises ApiError (503) if it takes no requests."""
        if self.draining:
            raise unavailable("the server is ending: ask another, or this one in a moment")
        description = self.describe()
        if description.readiness is Readiness.FAILED:
            raise unavailable(description.error or "the model could not be loaded")
        if description.error is not None:
            raise unavailable(description.error)
        if description.readiness is Readiness.LOADING:
            share = f"{description.progress:.0%}"
            raise unavailable(f"the model is still loading, {share} is done: wait a moment")
        return description

    def require_model(self, requested: str | None) -> Description:
        """Check that a request's model is the one that is served, and that it is ready.

        None stands for whatever is served. Raises ApiError (503 or 404).
        """
        served = self.require_ready()
        check_model(requested, served.name)
        return served


def check_model(requested: str | None, served: str) -> None:
    """Raise ApiError (404) if `requested` names another model than `served`."""
    if requested not in (None, served):
        message = f"there is no model {requested!r} here: the one that is served is {served!r}"
        raise ApiError(404, message, param="model", code="model_not_found")


class AdmissionControl:
    """Admits requests for replies, within the limits of the keys and of the backend.

    Used from the event loop only.
    """

    def __init__(self, backend: LocalBackend, options: ApiOptions) -> None:
        self.backend = backend
        self.options = options
        self.state = ServerState(backend)
        self._running: set[Replies] = set()
        self._replies_by_key: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def admit(self, key: Key | None, count: int, capacity: int) -> Iterator[Replies]:
        """Reserve places for `count` replies of one request, and cancel them on exit.

        `capacity` is how many replies can run or wait in the backend at once. Raises ApiError: 400
        if `count` exceeds the capacity, 429 if the key has too many replies already.
        """
        if count > capacity:
            raise invalid_request(
                f"{count} replies at once are asked for, and at most {capacity} can run or wait: "
                "ask for fewer",
                "n",
            )
        name = key.name if key else ""
        limit = key.most_running if key else None
        if limit is not None and self._replies_by_key[name] + count > limit:
            running = self._replies_by_key[name]
            message = f"this key may have {limit} replies at once, and {running} run"
            raise ApiError(429, message, RATE, code="rate_limit_exceeded", retry_after=1)
        replies = Replies()
        self._replies_by_key[name] += count
        self._running.add(replies)
        self._idle.clear()
        try:
            with replies:
                yield replies
        finally:
            self._replies_by_key[name] -= count
            self._running.discard(replies)
            if not self._running:
                self._idle.set()

    async def drain(self) -> None:
        """Refuse new requests, and wait until the running ones end.

        After `drain_s` seconds, abort those that still run.
        """
        self.state.draining = True
        try:
            async with asyncio.timeout(self.options.drain_s):
                await self._idle.wait()
        except TimeoutError:
            for replies in [*self._running]:
                replies.abort(
                    unavailable("the server is ending and its time to finish replies has run out")
                )
