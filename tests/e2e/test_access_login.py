"""`glasschat web --login`, through a real provider, by several people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.visitor import ARTIFACTS, WAIT_MS, Visitor
from tests.support.browser import WebServer, visiting
from tests.support.people import provider, site_with_login, stay_here

pytestmark = pytest.mark.browser

DENIED = "Error during authentication: access_denied."


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server for people of example.org. Its log has no secrets, and only what went wrong."""
    folder = tmp_path_factory.mktemp("team")
    kept = ("--store", str(folder / "chats.db"), "--context", "128", "--slots", "1")
    with provider() as issuer, site_with_login(issuer, *kept, folder=folder) as server:
        yield server
        told = server.log.splitlines()
    known = ("glasschat: ", DENIED)
    assert [line for line in told if not line.startswith(known)] == []
    assert "s3cret" not in server.log


@contextmanager
def somebody(browser: Browser, server: WebServer, path: str = "/") -> Iterator[Visitor]:
    """Somebody with cookies of their own, who has to sign in."""
    with visiting(browser) as page:
        stay_here(page)
        someone = Visitor(page)
        page.goto(server.url + path)
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        expect(someone.input).to_have_count(0)
        yield someone


def sign_in(someone: Visitor, who: str) -> None:
    """Go to the provider, be `who` there, and come back."""
    someone.page.get_by_role("button", name="Sign in").click()
    someone.page.get_by_role("button", name=who, exact=True).click()


def test_each_person_has_their_own_conversations(browser: Browser, team: WebServer) -> None:
    with somebody(browser, team) as ada, somebody(browser, team) as bob:
        sign_in(ada, "ada")
        expect(ada.input).to_be_visible(timeout=WAIT_MS)
        ada.ask("A question of Ada's")
        ada.ends()
        address = ada.page.url
        sign_in(bob, "bob")
        for url in (team.url, address):
            bob.arrive(url)
            expect(bob.page.get_by_text("What would you like to know?")).to_be_visible()
            expect(bob.page.get_by_text("A question of Ada's")).to_have_count(0)

    with somebody(browser, team, "/" + address.removeprefix(team.url + "/")) as elsewhere:
        sign_in(elsewhere, "ada")
        expect(elsewhere.page.get_by_text("A question of Ada's").last).to_be_visible(
            timeout=WAIT_MS
        )
        assert elsewhere.page.url == address, "by way of the provider and back"


def test_whom_the_provider_knows_and_we_do_not(browser: Browser, team: WebServer) -> None:
    with somebody(browser, team) as stranger:
        # Whoever thinks better of it at the provider is asked again.
        stranger.page.get_by_role("button", name="Sign in").click()
        stranger.page.get_by_role("button", name="Deny").click()
        expect(stranger.page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        sign_in(stranger, "eve")
        expect(stranger.notice).to_contain_text("eve@elsewhere")
        expect(stranger.notice).to_contain_text("may not chat here")
        expect(stranger.input).to_have_count(0)
        stranger.picture("not-allowed-eve")
        assert stranger.page.request.get(team.url + "/media/x").status == 401
        stranger.page.get_by_role("button", name="Sign out").click()
        stranger.page.wait_for_url(re.compile("localhost"))


def test_signing_out_ends_it_on_every_tab(browser: Browser, team: WebServer) -> None:
    with somebody(browser, team) as bob:
        sign_in(bob, "bob")
        expect(bob.input).to_be_visible(timeout=WAIT_MS)
        assert bob.page.request.get(team.url + "/media/x").status == 404
        page = bob.page.context.new_page()
        stay_here(page)
        other = Visitor(page)
        other.arrive(team.url)
        cookies = bob.page.context.cookies()

        bob.page.get_by_role("button", name="Sign out").click()
        bob.page.get_by_role("button", name="End session").click()
        expect(bob.page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        assert bob.page.request.get(team.url + "/media/x").status == 401
        # A tab that is open does nothing more after it.
        other.ask("Am I still here?")
        page.wait_for_timeout(1000)
        expect(page.get_by_text("Am I still here?")).to_have_count(0)
        other.page.get_by_role("button", name="New chat").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)

        bob.page.context.add_cookies(cookies)
        bob.page.reload()
        expect(bob.page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        assert bob.page.request.get(team.url + "/media/x").status == 401, "a cookie that was kept"


def test_the_page_that_asks(browser: Browser, team: WebServer) -> None:
    phone = {"width": 390, "height": 700}
    with visiting(browser, color_scheme="dark", viewport=phone, locale="zh-CN") as page:
        page.goto(team.url)
        expect(page.get_by_role("button", name="登录")).to_be_visible(timeout=WAIT_MS)
        page.screenshot(path=ARTIFACTS / "sign-in-at-provider-dark.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]


def test_a_made_up_identity_is_none(team: WebServer) -> None:
    for value in ("x", "eyJzdWIiOiAiYWRhIn0.aaaa.bbbb", '"chunks-2"'):
        cookies = {"cookie": f"_streamlit_user={value}"}
        for path in ("/media/x", "/_stcore/metrics", "/_stcore/upload_file/a/b"):
            assert httpx.get(team.url + path, headers=cookies).status_code == 401
