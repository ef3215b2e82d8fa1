"""`--login`: Streamlit's own OpenID Connect login, and middleware for all that it does not guard.

Streamlit checks who a visitor is only in the script of a page, so anybody may load the page and
open its socket: the script shows them nothing but a button (`LoginAccess.user`). Everything else,
files of conversations and streams of replies among it, the middleware keeps for browsers whose page
has run for a user. It recognizes them by Streamlit's cookie, which it does not decode.
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

from glasschat.web.access.base import User
from glasschat.web.access.provider import CALLBACK, LoginSettings, user_from_claims
from glasschat.web.access.requests import (
    LOGOUT,
    SessionSocket,
    accepts_html,
    is_https,
    is_same_origin,
    reject,
    with_secure_cookies,
)
from glasschat.web.access.sessions import Sessions, token_hash
from glasschat.web.language import _
from glasschat.web.style import STYLE

USER_COOKIE = "_streamlit_user"
"""Streamlit's signed cookie; a long one is continued in cookies whose names begin the same."""

RETURN_COOKIE = "glasschat_wanted"
"""Cookie with the query of the address that was asked for before signing in."""

_SOCKET = "/_stcore/stream"
_RETURN_S = 600
# What the page needs to ask for a sign-in, and the way to the provider and back.
_PUBLIC_PATHS = re.compile(
    r"/|/favicon.png|/static/.*|/_stcore/(health|host-config|bidi-components/.*)|/component/.*|/auth/login|"
    + "|".join(map(re.escape, (LOGOUT, CALLBACK)))
)


class LoginAccess:
    """Users of an OpenID Connect provider whom the settings allow, each with their own chats."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings
        self._sessions = Sessions()

    @property
    def origin(self) -> str:
        """The origin that visitors use: only there they can sign in."""
        return self._settings.origin

    @property
    def secrets(self) -> Mapping[str, object]:
        """The provider's settings for Streamlit."""
        return self._settings.secrets

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Require a session for everything that the sign-in does not need."""
        return _LoginMiddleware(app, self._sessions, self.origin)

    def user(self) -> User:
        """Return the signed-in user; others get a button to sign in, or are told whom to ask."""
        key = _session_key(st.context.cookies.to_dict())
        if not st.user.is_logged_in or key is None:
            _draw_sign_in()
        claims = st.user.to_dict()
        user = user_from_claims(claims) if self._settings.allows(claims) else None
        if user is None:
            _draw_refusal(claims)
        if not self._sessions.begin(key, user):
            _draw_sign_in()
        return user


class _LoginMiddleware:
    """Lets requests of a session pass, and those that signing in needs."""

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
            send = with_secure_cookies(send)
        key = _session_key(connection.cookies)
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
                await reject(scope, receive, send)
            return
        answer = self._respond(connection, key)
        if answer is not None:
            await answer(scope, receive, send)
        elif known:
            await self._app(scope, receive, send)
        elif _PUBLIC_PATHS.fullmatch(scope["path"]):
            await self._app(scope, receive, _remember_address(connection, send))
        else:
            await reject(scope, receive, send)

    def _respond(self, connection: HTTPConnection, key: str | None) -> Response | None:
        """Return the response of this middleware to a request; None where the app answers."""
        path = connection.scope["path"]
        if accepts_html(connection) and connection.headers.get("host") != self._host:
            # The provider sends people back to the origin only, and Streamlit knows them there.
            return PlainTextResponse(
                f"This chat is at {self._origin}. (If you are there: the proxy in front of it has "
                "to pass the Host header on.)\n",
                400,
            )
        if path == LOGOUT:
            if not is_same_origin(connection):
                return PlainTextResponse("Sign out on the page itself.", 403)
            if key is not None:
                self._sessions.end(key)
        if path == CALLBACK and "state" not in connection.query_params:
            # Back from signing out at the provider.
            return RedirectResponse("/", 303)
        return None


def _remember_address(connection: HTTPConnection, send: Send) -> Send:
    """Return a `send` that keeps the query of the address while the visitor is at the provider.

    It is kept in a cookie meanwhile, and comes back as a query of our own front page only.
    """
    query = connection.scope["query_string"].decode("latin-1")
    wanted = connection.cookies.get(RETURN_COOKIE, "")
    cookie = Response()
    if connection.scope["path"] == CALLBACK:
        cookie.delete_cookie(RETURN_COOKIE, httponly=True, samesite="lax")
    elif (
        query and len(query) <= 500 and connection.scope["path"] == "/" and accepts_html(connection)
    ):
        value = quote(query, safe="")
        cookie.set_cookie(RETURN_COOKIE, value, max_age=_RETURN_S, httponly=True, samesite="lax")
    else:
        return send

    async def send_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("set-cookie", cookie.headers["set-cookie"])
            if wanted and headers.get("location") == "/":
                headers["location"] = "/?" + quote(unquote(wanted), safe="=&%+-_.~")
        await send(message)

    return send_cookie


def _session_key(cookies: Mapping[str, str]) -> str | None:
    """Return the key of the session that Streamlit has signed in on that browser, or None."""
    mine = sorted(item for item in cookies.items() if item[0].startswith(USER_COOKIE))
    return token_hash(repr(mine)) if USER_COOKIE in cookies else None


def _draw_sign_in() -> NoReturn:
    _draw_title()
    st.markdown(_("Sign in to chat. Each person has their own conversations."))
    st.button(_("Sign in"), key="sign_in", type="primary", on_click=st.login)
    st.stop()


def _draw_refusal(claims: Mapping[str, object]) -> NoReturn:
    _draw_title()
    who = str(claims.get("email") or claims.get("sub") or "?").replace("`", "'")
    st.error(
        _("You are signed in as `{who}`, and this account may not chat here.", who=who)
        + " "
        + _("Ask whoever runs this chat to let it in, or sign in with another.")
    )
    st.button(_("Sign out"), key="sign_out", on_click=st.logout)
    st.stop()


def _draw_title() -> None:
    st.html(f"<style>{STYLE}</style>")
    st.title("glasschat", anchor=False)
