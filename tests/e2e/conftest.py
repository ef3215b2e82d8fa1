"""One real and one scripted server for all browser tests; a new visitor for each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from glasschat.chat.store import LOCAL_OWNER, open_store
from tests.e2e.panel import Tuner
from tests.e2e.visitor import Visitor, scripted_site, visitor
from tests.support.browser import WebServer, serving
from tests.support.long_chat import long_chat

Arrive = Callable[..., Visitor]
Tune = Callable[..., Tuner]


@pytest.fixture(scope="session", params=["gguf", pytest.param("folder", marks=pytest.mark.slow)])
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
    """The scripted model with one slot, and a store with a long chat in it.

    Streamlit has to have nothing to complain of.
    """
    folder = tmp_path_factory.mktemp("script")
    file = str(folder / "chats.db")
    store = open_store(file)
    store.add(LOCAL_OWNER, long_chat(500))
    store.close()
    with scripted_site("--store", file, folder=folder) as server:
        yield server
        assert "streamlit" not in server.log


@pytest.fixture
def arrive(browser: Browser) -> Iterator[Arrive]:
    """Brings visitors to a server's page: `arrive(site)`; they leave when the test ends."""
    with ExitStack() as stack:
        yield lambda server, **options: stack.enter_context(visitor(browser, server, **options))


@pytest.fixture
def tune(browser: Browser, script: WebServer) -> Iterator[Tune]:
    """Brings visitors of the scripted server who look at keys, not at words."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(visitor(browser, script, kind=Tuner, **options))
