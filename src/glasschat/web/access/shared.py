"""`--password`: whoever knows the password may chat, and all see the same conversations."""

import logging
import math
import secrets as random
from functools import partial
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from glasschat.chat.store import LOCAL_OWNER
from glasschat.web.access.attempts import AttemptLimiter
from glasschat.web.access.base import User
from glasschat.web.access.form import FIELD, sign_in_page
from glasschat.web.access.password import Password
from glasschat.web.access.requests import (
    HEALTH,
    LOGOUT,
    SessionSocket,
    accepts_html,
    is_https,
    is_same_origin,
    local_url,
    reject,
    with_secure_cookies,
)
from glasschat.web.access.sessions import LIFETIME_S, Sessions, token_hash
from glasschat.web.language import COOKIE as LANGUAGE_COOKIE
from glasschat.web.language import Translator, translator

log = logging.getLogger(__name__)

_MAX_BYTES = 4096
_FORM = "application/x-www-form-urlencoded"


class SharedPasswordAccess:
    """One password for all users.

    `port` distinguishes this server's cookie from those of other servers on this machine.
    """

    secrets = None

    def __init__(self, password: Password, port: int) -> None:
        self._password = password
        self._cookie = f"glasschat_session_{port}"
        self._sessions = Sessions()
        self._attempts = AttemptLimiter()

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Require a session for everything but HEALTH, which says only that the server is up."""
        return _PasswordMiddleware(
            app, self._password, self._cookie, self._sessions, self._attempts
        )

    def user(self) -> User:
        """Return the local user, whose conversations all visitors with the password share."""
        return User(LOCAL_OWNER, can_sign_out=True)


class _PasswordMiddleware:
    """Asks for the password, and lets requests of a session pass."""

    def __init__(
        self,
        app: ASGIApp,
        password: Password,
        cookie: str,
        sessions: Sessions,
        attempts: AttemptLimiter,
    ) -> None:
        self._app = app
        self._password, self._cookie = password, cookie
        self._sessions, self._attempts = sessions, attempts
        # A guess takes 16 MB and a core: one at a time.
        self._limiter = CapacityLimiter(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Request(scope, receive)
        if is_https(request):
            send = with_secure_cookies(send)
        token = request.cookies.get(self._cookie)
        key = token_hash(token) if token else None
        known = self._sessions.find(key) is not None
        if scope["type"] == "websocket":
            if known:
                socket = SessionSocket(receive, send, partial(self._has_ended, key))
                await self._app(scope, socket.receive, socket.send)
            else:
                await reject(scope, receive, send)
            return
        answer = await self._respond(request, key, known)
        if answer is not None:
            await answer(scope, receive, send)
        elif known or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
        else:
            await reject(scope, receive, send)

    def _has_ended(self, key: str | None) -> bool:
        return self._sessions.find(key) is None

    async def _respond(self, request: "_Request", key: str | None, known: bool) -> Response | None:
        """Return the response of this middleware to a request; None where the app answers."""
        if request.scope["path"] == LOGOUT:
            return self._sign_out(request, key)
        if not accepts_html(request):
            return None
        kind = request.headers.get("content-type", "").partition(";")[0]
        if request.method == "POST" and kind == _FORM:
            # Signed in already: on another tab, or by a second click.
            return _redirect_back(request) if known else await self._sign_in(request)
        return _form_response(request, 401) if request.method == "GET" and not known else None

    async def _sign_in(self, request: "_Request") -> Response:
        _ = _translator(request)
        if not is_same_origin(request):
            return _form_response(request, 403, _("That came from another page. Please try again."))
        address = request.client.host if request.client else ""
        if wait_s := math.ceil(self._attempts.acquire(address)):
            notice = _("Too many wrong passwords. Try again in {seconds} s.", seconds=wait_s)
            return _form_response(request, 429, notice, wait_s)
        guess = await request.guess()
        if not await to_thread.run_sync(self._password.matches, guess, limiter=self._limiter):
            log.warning("a wrong password from %s", address)
            return _form_response(request, 401, _("That is not the password."))
        self._attempts.refund(address)
        token = random.token_urlsafe(32)
        self._sessions.begin(token_hash(token), User(LOCAL_OWNER))
        answer = _redirect_back(request)
        answer.set_cookie(self._cookie, token, max_age=LIFETIME_S, httponly=True, samesite="lax")
        return answer

    def _sign_out(self, request: "_Request", key: str | None) -> Response:
        if not is_same_origin(request):
            return _form_response(request, 403)
        if key is not None:
            self._sessions.end(key)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(self._cookie, httponly=True, samesite="lax")
        return answer


class _Request(Request):
    """Request of a page or of a socket: both have headers and cookies."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__({**scope, "type": "http"}, receive)

    async def guess(self) -> str:
        """Return the password of the form; "" for a body that no browser sends."""
        body = b""
        async for part in self.stream():
            body += part
            if len(body) > _MAX_BYTES:
                return ""
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return fields.get(FIELD, [""])[0]


def _redirect_back(request: Request) -> RedirectResponse:
    return RedirectResponse(local_url(request.scope), 303, {"cache-control": "no-store"})


def _form_response(request: Request, status: int, notice: str = "", wait_s: int = 0) -> Response:
    page = HTMLResponse(sign_in_page(_translator(request), notice), status)
    page.headers.update({"cache-control": "no-store", "vary": "accept-language,cookie"})
    if wait_s:
        page.headers["retry-after"] = str(wait_s)
    return page


def _translator(request: Request) -> Translator:
    wanted = request.headers.get("accept-language")
    return translator(wanted, request.cookies.get(LANGUAGE_COOKIE))
