"""Backends in front of servers that do what a test says."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions, Timeouts

Front = Callable[..., RemoteBackend]

# Long enough for a busy machine, short enough to wait for.
SHORT_TIMEOUTS = Timeouts(connect_s=5.0, answer_s=5.0, first_s=0.5, idle_s=0.5)
TIMEOUTS = Timeouts(connect_s=5.0, answer_s=5.0, first_s=30.0, idle_s=30.0)


@pytest.fixture
def front() -> Iterator[Front]:
    """A backend in front of a URL, which has looked for it once unless `load` is False."""
    with ExitStack() as stack:

        def make(
            url: str, *, timeouts: Timeouts = TIMEOUTS, load: bool = True, **options: object
        ) -> RemoteBackend:
            remote_options = RemoteOptions(address=Address.parse(url), **options)  # type: ignore[arg-type]
            backend = stack.enter_context(RemoteBackend(remote_options, timeouts=timeouts))
            if load:
                backend.load()
            return backend

        yield make
