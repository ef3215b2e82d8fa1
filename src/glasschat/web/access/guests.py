"""`--open`: everybody who reaches the address may chat, and nobody sees another's conversations."""

import secrets as random

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glasschat.web.access.base import User
from glasschat.web.access.requests import accepts_html, is_https, with_secure_cookies
from glasschat.web.access.sessions import token_hash

COOKIE = "glasschat_guest"
# As long as browsers keep a cookie, counted from the last visit.
LIFETIME_S = 400 * 24 * 3600


class OpenAccess:
    """Everybody may chat; each browser is a guest, known by a random cookie.

    Conversations of the local user, from before the address was opened, belong to no guest.
    """

    secrets = None

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Let every request pass, and set the guest's cookie where a page is asked for."""

        async def with_cookie(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                request = Request(scope)
                if request.method == "GET" and accepts_html(request):
                    send = _with_guest_cookie(request, send)
                if is_https(request):
                    send = with_secure_cookies(send)
            await app(scope, receive, send)

        return with_cookie

    def user(self) -> User:
        """Return the guest of this browser; where it keeps no cookies, of this tab."""
        token = st.context.cookies.get(COOKIE) or st.session_state.setdefault(
            COOKIE, random.token_urlsafe(32)
        )
        # The store keeps only a hash: whoever reads it cannot pass for the guest.
        return User(f"guest:{token_hash(token)}")


def _with_guest_cookie(request: Request, send: Send) -> Send:
    """Return a `send` that adds the guest's cookie to a response: the old one, or a new one."""
    token = request.cookies.get(COOKIE) or random.token_urlsafe(32)
    cookie = Response()
    cookie.set_cookie(COOKIE, token, max_age=LIFETIME_S, httponly=True, samesite="lax")

    async def send_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", cookie.headers["set-cookie"])
        await send(message)

    return send_cookie
