"""`--open`: everybody who reaches the address may chat, and nobody sees another's conversations."""

import secrets as random

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glasschat.web.access.base import Person
from glasschat.web.access.sessions import key_of
from glasschat.web.access.wire import is_https, secured, wants_page

COOKIE = "glasschat_guest"
# As long as browsers keep a cookie, counted from the last visit.
LIFETIME_S = 400 * 24 * 3600


class GuestAccess:
    """Everybody, each browser by a random name of its own.

    The local user's conversations, from before the address was opened, are nobody's here.
    """

    secrets = None

    def gate(self, app: ASGIApp) -> ASGIApp:
        """No door; a browser that comes for a page gets its name."""

        async def named(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                request = Request(scope)
                if request.method == "GET" and wants_page(request):
                    send = _naming(request, send)
                if is_https(request):
                    send = secured(send)
            await app(scope, receive, send)

        return named

    def person(self) -> Person:
        """The browser; where it keeps no cookies, the tab."""
        token = st.context.cookies.get(COOKIE) or st.session_state.setdefault(
            COOKIE, random.token_urlsafe(32)
        )
        # The store keeps no names that a reader of it could come in by.
        return Person(f"guest:{key_of(token)}")


def _naming(request: Request, send: Send) -> Send:
    token = request.cookies.get(COOKIE) or random.token_urlsafe(32)
    cookie = Response()
    cookie.set_cookie(COOKIE, token, max_age=LIFETIME_S, httponly=True, samesite="lax")

    async def with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", cookie.headers["set-cookie"])
        await send(message)

    return with_cookie
