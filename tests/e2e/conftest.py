"""One real and one scripted server for all browser tests; a new visitor for each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from tests.e2e.visitor import Visitor, scripted_site, visitor
from tests.support.browser import WebServer, serving

Arrive = Callable[..., Visitor]


@pytest.fixture(scope="session", params=["gguf", "folder"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    """The program as users start it, with the built-in model as a GGUF and as a model folder.

    Its log has to stay quiet.
    """
    model = [] if request.param == "gguf" else [str(request.getfixturevalue("smollm2_folder_bf16"))]
    folder = tmp_path_factory.mktemp("site")
    with serving(*model, "--context", "1024", "--slots", "3", folder=folder) as server:
        yield server
        log = server.log.splitlines()
    assert [line for line in log if not line.startswith("glasschat: ")] == []


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """The scripted model with one slot."""
    with scripted_site(folder=tmp_path_factory.mktemp("script")) as server:
        yield server


@pytest.fixture
def arrive(browser: Browser) -> Iterator[Arrive]:
    """Brings visitors to a server's page: `arrive(site)`; they leave when the test ends."""
    with ExitStack() as stack:
        yield lambda server, **options: stack.enter_context(visitor(browser, server, **options))
