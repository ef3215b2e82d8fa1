"""`--login` on its way: Streamlit's own login, and a door to all that its pages do not guard.

Streamlit asks who somebody is in the script of a page only, so anybody may load the page and open
its socket: the script shows them nothing but a button (`person`). What else there is, files of
conversations and streams of replies among it, the gate keeps for browsers whose page has run for a
person. It knows them by Streamlit's cookie, which it does not read.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glasschat.web.access.base import Person
from glasschat.web.access.provider import CALLBACK, LoginSettings, person_of
from glasschat.web.access.sessions import Sessions, key_of
from glasschat.web.access.wire import (
    LOGOUT,
    SessionSocket,
    comes_from_here,
    is_https,
    secured,
    turn_away,
    wants_page,
)
from glasschat.web.language import _
from glasschat.web.style import STYLE

USER_COOKIE = "_streamlit_user"
"""Streamlit's, with its signature; a long one goes on in others that begin so."""

WANTED = "glasschat_wanted"
"""What the address asked for when somebody came who had to sign in first."""

_SOCKET = "/_stcore/stream"
_WANTED_S = 600
# What the page needs to ask for a sign-in, and the way to the provider and back.
_OPEN = re.compile(
    r"/|/favicon.png|/static/.*|/_stcore/(health|host-config|bidi-components/.*)|/component/.*|/auth/login|"
    + "|".join(map(re.escape, (LOGOUT, CALLBACK)))
)


class LoginAccess:
    """Everybody whom the provider brings and the settings allow, each on their own."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings
        self._sessions = Sessions()

    @property
    def origin(self) -> str:
        """Where visitors come to: there alone they can sign in."""
        return self._settings.origin

    @property
    def secrets(self) -> Mapping[str, object]:
        """The provider, for Streamlit."""
        return self._settings.secrets

    def gate(self, app: ASGIApp) -> ASGIApp:
        """What the sign-in does not need is behind it."""
        return _Gate(app, self._sessions, self.origin)

    def person(self) -> Person:
        """Who is signed in; for anybody else the page is a button, or says whom to ask."""
        key = _key_in(st.context.cookies.to_dict())
        if not st.user.is_logged_in or key is None:
            _ask()
        claims = st.user.to_dict()
        person = person_of(claims) if self._settings.allows(claims) else None
        if person is None:
            _refuse(claims)
        if not self._sessions.begin(key, person):
            _ask()
        return person


class _Gate:
    def __init__(self, app: ASGIApp, sessions: Sessions, origin: str) -> None:
        self._app = app
        self._sessions = sessions
        self._origin, self._host = origin, urlsplit(origin).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if is_https(connection):
            send = secured(send)
        key = _key_in(connection.cookies)
        known = self._sessions.find(key) is not None
        if scope["type"] == "websocket":
            if known or scope["path"] == _SOCKET:
                # With a session that had ended before, the page asks for another one.
                ended = partial(
                    self._sessions.has_ended, None if self._sessions.has_ended(key) else key
                )
                socket = SessionSocket(receive, send, ended)
                await self._app(scope, socket.receive, socket.send)
            else:
                await turn_away(scope, receive, send)
            return
        answer = self._answer(connection, key)
        if answer is not None:
            await answer(scope, receive, send)
        elif known:
            await self._app(scope, receive, send)
        elif _OPEN.fullmatch(scope["path"]):
            await self._app(scope, receive, _on_the_way(connection, send))
        else:
            await turn_away(scope, receive, send)

    def _answer(self, connection: HTTPConnection, key: str | None) -> Response | None:
        """What the gate itself says to a request, if anything."""
        path = connection.scope["path"]
        if wants_page(connection) and connection.headers.get("host") != self._host:
            # The provider sends people back to the origin only, and Streamlit knows them there.
            return PlainTextResponse(
                f"This chat is at {self._origin}. (If you are there: the proxy in front of it has "
                "to pass the Host header on.)\n",
                400,
            )
        if path == LOGOUT:
            if not comes_from_here(connection):
                return PlainTextResponse("Sign out on the page itself.", 403)
            if key is not None:
                self._sessions.end(key)
        if path == CALLBACK and "state" not in connection.query_params:
            # Back from signing out at the provider.
            return RedirectResponse("/", 303)
        return None


def _on_the_way(connection: HTTPConnection, send: Send) -> Send:
    """Keeps what the address asked for while somebody goes to the provider and back.

    It lives in the browser meanwhile, and comes back as a query of our own front page only.
    """
    query = connection.scope["query_string"].decode("latin-1")
    wanted = connection.cookies.get(WANTED, "")
    note = Response()
    if connection.scope["path"] == CALLBACK:
        note.delete_cookie(WANTED, httponly=True, samesite="lax")
    elif query and len(query) <= 500 and connection.scope["path"] == "/" and wants_page(connection):
        value = quote(query, safe="")
        note.set_cookie(WANTED, value, max_age=_WANTED_S, httponly=True, samesite="lax")
    else:
        return send

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("set-cookie", note.headers["set-cookie"])
            if wanted and headers.get("location") == "/":
                headers["location"] = "/?" + quote(unquote(wanted), safe="=&%+-_.~")
        await send(message)

    return noting


def _key_in(cookies: Mapping[str, str]) -> str | None:
    """The key of whoever Streamlit has signed in on that browser."""
    mine = sorted(item for item in cookies.items() if item[0].startswith(USER_COOKIE))
    return key_of(repr(mine)) if USER_COOKIE in cookies else None


def _ask() -> NoReturn:
    _head()
    st.markdown(_("Sign in to chat. Each person has their own conversations."))
    st.button(_("Sign in"), key="sign_in", type="primary", on_click=st.login)
    st.stop()


def _refuse(claims: Mapping[str, object]) -> NoReturn:
    _head()
    who = str(claims.get("email") or claims.get("sub") or "?").replace("`", "'")
    st.error(
        _("You are signed in as `{who}`, and this account may not chat here.", who=who)
        + " "
        + _("Ask whoever runs this chat to let it in, or sign in with another.")
    )
    st.button(_("Sign out"), key="sign_out", on_click=st.logout)
    st.stop()


def _head() -> None:
    st.html(f"<style>{STYLE}</style>")
    st.title("glasschat", anchor=False)
