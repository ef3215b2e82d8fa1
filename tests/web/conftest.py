"""A site in front of the echoing model, and visitors of its page, in this process."""

from collections.abc import Callable, Iterator

import pytest

from glasschat.backends import LocalBackend
from glasschat.chat import Library
from glasschat.chat.user_presets import UserPresets
from glasschat.web.site import Site
from tests.support.echo_model import echo_model
from tests.support.pages import PageSession

Visit = Callable[..., PageSession]


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    """The echoing model, loaded."""
    with LocalBackend(lambda _: echo_model(slots=2), name="scripted") as found:
        found.load()
        yield found


@pytest.fixture
def site(backend: LocalBackend) -> Site:
    """A site without a store and without a conversation."""
    return Site(backend, Library(), UserPresets())


@pytest.fixture
def visit(site: Site) -> Visit:
    """Brings visitors: `visit()` has the page drawn for a new session."""
    return lambda **options: PageSession(options.pop("at", site), **options).run()
