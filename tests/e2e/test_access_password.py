"""`glasschat web --password-file` and `--open`, as people meet them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from glasschat.web.access.requests import local_url
from tests.e2e.visitor import ARTIFACTS, WAIT_MS, Visitor
from tests.support.browser import WebServer, serving, visiting

pytestmark = pytest.mark.browser

SECRET = "correct horse battery 电池"
WRONG = "WARNING glasschat.web.access.shared: a wrong password from 127.0.0.1"
SMALL = ("--context", "128", "--slots", "1")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server that asks for SECRET."""
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "password"
    file.write_text(SECRET + "\n", "utf-8")
    file.chmod(0o600)
    with serving("--password-file", str(file), *SMALL, folder=folder) as server:
        yield server
        told = server.log.splitlines()
    assert [line for line in told if not line.startswith(("glasschat: ", WRONG))] == []
    assert SECRET not in server.log
    assert "guess" not in server.log


def sign_in(page: Page, password: str = SECRET) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


def test_the_password_opens_the_chat_at_the_address_that_was_asked_for(
    browser: Browser, guarded: WebServer
) -> None:
    with visiting(browser) as page, visiting(browser) as other_device:
        someone = Visitor(page)
        page.goto(guarded.url)
        expect(page).to_have_title("Sign in · glasschat")
        expect(page.get_by_label("Password")).to_be_focused()
        sign_in(page, "guess")
        expect(page.get_by_role("alert")).to_have_text("That is not the password.")
        sign_in(page)
        expect(someone.input).to_be_visible(timeout=WAIT_MS)
        someone.ask("Say hello to the team")
        someone.ends()
        address = page.url
        assert "?chat=" in address

        other_device.goto(address)
        sign_in(other_device)
        expect(other_device.get_by_text("Say hello to the team").last).to_be_visible(
            timeout=WAIT_MS
        )
        assert other_device.url == address

        # Signing out closes the other tabs, too.
        other = Visitor(page.context.new_page())
        other.arrive(guarded.url)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        other.ask("Am I still here?")
        expect(other.page.get_by_text("Connection failed with status 401")).to_be_visible()
        other.page.reload()
        expect(other.page.get_by_label("Password")).to_be_visible()


LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 700}, "locale": "zh-CN"},
]


@pytest.mark.parametrize("look", LOOKS, ids=["wide", "phone"])
def test_the_form_fits_and_speaks_the_visitors_language(
    browser: Browser, guarded: WebServer, look: dict[str, Any]
) -> None:
    chinese = look.get("locale") == "zh-CN"
    with visiting(browser, **look, java_script_enabled=False) as page:
        page.goto(guarded.url)
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"sign-in-{look['color_scheme']}.png")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if chinese else "en")
        field = page.get_by_label("密码" if chinese else "Password")
        button = page.get_by_role("button", name="登录" if chinese else "Sign in")
        for part in (field, button):
            box = part.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= look["viewport"]["width"]
            assert box["height"] >= 44, "large enough for a thumb"
        field.fill(SECRET)
        button.click()
        assert not page.get_by_label("密码" if chinese else "Password").count()


PATHS = [
    "//evil.example",
    "//evil.example/%2e%2e",
    "/\\evil.example",
    "/%5Cevil.example",
    "/%09/e.x",
]


def test_the_form_leads_to_no_other_server(browser: Browser, guarded: WebServer) -> None:
    """A browser follows the answer; and reads every address that the server could make of it."""
    for path in PATHS:
        with visiting(browser, java_script_enabled=False) as page:
            page.goto(guarded.url + path)
            sign_in(page)
            page.wait_for_load_state()
            assert page.url.startswith(guarded.url + "/")
    hostile = [
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/ /evil.example",
        "/.//e.x",
        *PATHS,
    ]
    made = [local_url({"path": raw, "query_string": b"a=//b"}) for raw in hostile]
    with visiting(browser) as page:
        origin = "made => made.map(address => new URL(address, 'http://chat.example/x').origin)"
        assert set(page.evaluate(origin, made)) == {"http://chat.example"}


def test_a_stranger_gets_neither_socket_nor_files(guarded: WebServer) -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "origin": guarded.url,
    }
    assert httpx.get(guarded.url + "/_stcore/stream", headers=upgrade).status_code == 403
    paths = [
        "/_stcore/host-config",
        "/_stcore/metrics",
        "/media/x",
        "/static/index.html",
        "/favicon.png",
    ]
    for path in paths:
        assert httpx.get(guarded.url + path).status_code == 401
    assert httpx.get(guarded.url + "/_stcore/health").status_code == 200
    assert httpx.get(guarded.url, headers={"host": "evil.example"}).status_code == 400


@pytest.mark.slow
def test_nothing_about_the_password_is_for_other_programs_to_see(tmp_path: Path) -> None:
    variable = {"GLASSCHAT_PASSWORD": SECRET}
    with serving(*SMALL, folder=tmp_path, environment=variable) as server:
        assert httpx.get(server.url).status_code == 401
        assert "horse" not in str(psutil.Process(server.process.pid).cmdline())
        assert "horse" not in server.log


def test_guests_see_their_own_conversations_and_nobody_elses(
    browser: Browser, tmp_path: Path
) -> None:
    kept = ("--store", str(tmp_path / "chats.db"), *SMALL)
    with (
        serving("--open", *kept, folder=tmp_path) as server,
        visiting(browser) as page,
        visiting(browser) as elsewhere,
    ):
        ada, bob = Visitor(page), Visitor(elsewhere)
        ada.arrive(server.url)
        ada.ask("A question of Ada's")
        ada.sees(re.compile(r"\w"))
        ada.leave()
        bob.arrive(page.url)
        expect(bob.page.get_by_text("What would you like to know?")).to_be_visible()
        expect(bob.page.get_by_text("A question of Ada's")).to_have_count(0)
        # The browser's cookie has her conversations after a reload.
        ada.arrive(server.url)
        expect(page.get_by_role("button", name="A question of Ada's")).to_be_visible()
