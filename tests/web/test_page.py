"""The page as a whole: what it shows of the model, of the chat, and of what goes wrong."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from glasschat.backends import Description, LocalBackend, Readiness
from glasschat.chat import Library
from glasschat.chat.user_presets import UserPresets
from glasschat.errors import InvalidModel, StoreUnavailable
from glasschat.models.base import Model
from glasschat.web.site import Site
from tests.support.echo_model import echo_model
from tests.support.pages import PageSession
from tests.web.conftest import Visit


def site_of(load: Callable[[Callable[[float], None]], Model]) -> Site:
    return Site(LocalBackend(load, name="scripted"), Library(), UserPresets())


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_while_the_model_loads_the_page_says_how_far_it_is() -> None:
    pages: list[PageSession] = []

    def load(progress: Callable[[float], None]) -> Model:
        progress(0.4)
        wait_for(lambda: bool(pages) and "40%" in pages[0].seen)
        return echo_model()

    site = site_of(load)
    with site.backend:
        site.backend.load_in_background()
        pages.append(PageSession(site))
        page = pages[0].run()
        assert "Loading the model, 40%" in page.seen and ":orange[●] loading" in page.seen
        assert "Loading the model" not in page.text
        assert "ready" in page.text and "4,096 tokens of context" in page.text
        page.ask("hello")
        assert page.path == ["hello", "hello"]


def test_a_model_that_cannot_be_loaded_says_what_to_do() -> None:
    def load(_progress: Callable[[float], None]) -> Model:
        raise InvalidModel("model.gguf is cut off after 12 bytes: download it again")

    site = site_of(load)
    with pytest.raises(InvalidModel):
        site.backend.load()
    page = PageSession(site).run()
    assert "model.gguf is cut off after 12 bytes: download it again" in page.notice
    assert "Once that is mended, start glasschat again." in page.notice
    assert "failed" in page.text
    assert not page.app.chat_input, "nothing can be asked"


def test_a_page_that_breaks_says_so_calmly(
    backend: LocalBackend, site: Site, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenBackend:
        def describe(self) -> Description:
            raise RuntimeError("secret-detail")

    page = visit(at=replace(site, backend=BrokenBackend()))
    assert "Reload the page: the chat is still there." in page.notice
    assert "secret-detail" not in page.text and "Traceback" not in page.text
    assert "secret-detail" in caplog.text


def test_a_chat_that_is_gone_is_said_to_be(visit: Visit) -> None:
    page = visit(chat="forgotten")
    assert "this is a new one: ask away" in page.notice
    assert "chat" not in page.app.query_params
    page.ask("hello")
    assert page.path == ["hello", "hello"]


def test_two_tabs_of_one_chat_show_the_same(visit: Visit) -> None:
    page = visit()
    page.ask("seen twice")
    assert page.app.query_params == {"chat": page.state["chat"]}
    other = visit(chat=page.state["chat"])
    assert other.text.count("seen twice") >= 2
    assert other.path == page.path
    assert other.notice == ""


def test_a_store_that_cannot_be_read_keeps_the_address(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit()
    page.ask("kept in the store")
    find = site.library.find

    def locked(owner: str, conversation_id: str) -> None:
        raise StoreUnavailable("the database is locked")

    monkeypatch.setattr(site.library, "find", locked)
    other = visit(chat=page.state["chat"])
    assert "the database is locked" in other.notice.lower()
    monkeypatch.setattr(site.library, "find", find)
    other.click("read_again")
    assert other.path == ["kept in the store", "kept in the store"]


def test_a_chat_that_is_not_being_kept_says_so(backend: LocalBackend) -> None:
    library = Library(trouble=StoreUnavailable("chats.db is no database"))
    page = PageSession(Site(backend, library, UserPresets())).run()
    assert "This chat is not being kept: Chats.db is no database" in page.notice.replace(
        "chats.db", "Chats.db"
    )
    page.ask("hello")
    assert page.path == ["hello", "hello"], "it goes on all the same"


def test_the_title_of_the_tab_is_the_chats(visit: Visit) -> None:
    page = visit()
    titles = [m.page_config_changed.title for m in page.sent if m.HasField("page_config_changed")]
    assert titles[-1] == "scripted · glasschat"
    page.ask("What is the capital of France? Answer in one English sentence.")
    titles = [m.page_config_changed.title for m in page.sent if m.HasField("page_config_changed")]
    assert titles[-1] == "What is the capital of France? Answer in one English… · glasschat"


def test_a_page_outlives_the_engine() -> None:
    """The model is lost in the middle of a reply: the page waits for it, with what there is."""
    held = threading.Event()
    held.set()

    def load(_progress: Callable[[float], None]) -> Model:
        assert held.wait(30)
        return echo_model()

    site = site_of(load)
    with site.backend:
        site.backend.load()
        page = PageSession(site).run()
        held.clear()

        def load_again() -> None:
            wait_for(lambda: "is being started again" in page.seen)
            held.set()

        threading.Thread(target=load_again, daemon=True).start()
        page.ask("dying: the first half of it, and the second half.")
        assert "is being started again" in page.seen
        assert "the first half of it," in page.seen
        assert site.backend.describe().readiness is Readiness.READY
        assert "The reply failed" in page.text
        reply = page.conversation.tree.path[-1]
        assert page.actions(reply.id)[:2] == ["again", "go_on"]
        page.act(reply.id, "go_on")
        assert page.path[-1] == "the first half of it, and the second half."
        assert "The reply failed" not in page.text
