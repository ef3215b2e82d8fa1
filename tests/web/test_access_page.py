"""Whose conversations a page shows, for guests and for people who sign in."""

from typing import Any

import pytest

from glasschat.web.access import login
from glasschat.web.access.guests import OpenAccess
from glasschat.web.access.login import LoginAccess
from glasschat.web.site import Site
from tests.support.pages import PageSession
from tests.web.conftest import Visit
from tests.web.test_access_login import settings

ADA = {
    "is_logged_in": True,
    "iss": "https://id.example",
    "sub": "1",
    "name": "Ada",
    "email": "ada@example.org",
    "email_verified": True,
}
MALLORY = {**ADA, "sub": "2", "email_verified": False}
EVE = {**ADA, "sub": "3", "email": "eve@elsewhere.example"}


def titles(page: PageSession) -> list[str]:
    """The titles in the list of chats."""
    return [page.widget(key).label for key in page.keys if key.startswith("open_")]


def test_guests_see_their_own_conversations_and_nobody_elses(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of browsers without cookies, which AppTest does not have: there a guest is a tab."""
    monkeypatch.setattr(type(login.st.context), "cookies", property(lambda _context: {}))
    local = visit()
    local.ask("Mine before it was open")
    before = local.state["chat"]
    access = OpenAccess()
    ada = visit(access=access)
    ada.ask("A question of Ada's")
    assert titles(ada) == ["A question of Ada's"]
    for chat in (ada.state["chat"], before, ""):
        bob = visit(access=access, chat=chat)
        assert "What would you like to know?" in bob.text
        assert "A question of Ada's" not in bob.text and "Mine before" not in bob.text
        assert titles(bob) == []
    ada.run()
    assert titles(ada) == ["A question of Ada's"]


def signed_in(site: Site, access: LoginAccess, claims: dict[str, Any]) -> PageSession:
    """A page that is drawn for somebody of whom the provider says that."""
    page = PageSession(site, access=access)
    page.app.user = claims
    return page.run()


@pytest.fixture
def access(monkeypatch: pytest.MonkeyPatch) -> LoginAccess:
    """People of example.org; AppTest has no cookies, so everybody has one of their own."""
    monkeypatch.setattr(login, "_session_key", lambda _cookies: login.st.user.get("sub"))
    return LoginAccess(settings("@example.org"))


def test_each_person_has_their_own_conversations(site: Site, access: LoginAccess) -> None:
    ada = signed_in(site, access, ADA)
    assert ada.has("sign_out") and ada.widget("sign_out").help == "Ada"
    ada.ask("A question of Ada's")
    bob = signed_in(site, access, {**ADA, "sub": "4", "email": "bob@example.org"})
    assert titles(bob) == []
    assert titles(signed_in(site, access, ADA)) == ["A question of Ada's"]


@pytest.mark.parametrize(
    ("claims", "named"), [(EVE, "eve@elsewhere.example"), (MALLORY, "ada@example.org")]
)
def test_whom_the_provider_knows_and_we_do_not(
    site: Site, access: LoginAccess, claims: dict[str, Any], named: str
) -> None:
    """Mallory says that she has Ada's address; the provider does not say that it is true."""
    page = signed_in(site, access, claims)
    assert f"You are signed in as `{named}`, and this account may not chat here." in page.notice
    assert page.has("sign_out") and not page.app.chat_input


def test_whoever_is_not_signed_in_or_has_signed_out_is_asked_to(
    site: Site, access: LoginAccess
) -> None:
    stranger = signed_in(site, access, {"is_logged_in": False})
    assert stranger.has("sign_in") and not stranger.app.chat_input
    ada = signed_in(site, access, ADA)
    ada.ask("before")
    access._sessions.end("1")
    ada.run()
    assert ada.has("sign_in") and not ada.app.chat_input, "an open tab does nothing more"
