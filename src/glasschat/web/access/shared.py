"""`--password`: whoever knows it comes in, and all see the same conversations."""

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
from glasschat.web.access.attempts import Attempts
from glasschat.web.access.base import Person
from glasschat.web.access.form import FIELD, sign_in_page
from glasschat.web.access.password import Password
from glasschat.web.access.sessions import LIFETIME_S, Sessions, key_of
from glasschat.web.access.wire import (
    HEALTH,
    LOGOUT,
    SessionSocket,
    address_of,
    comes_from_here,
    is_https,
    secured,
    turn_away,
    wants_page,
)
from glasschat.web.language import COOKIE as LANGUAGE_COOKIE
from glasschat.web.language import Translator, translator

log = logging.getLogger(__name__)

_MOST_BYTES = 4096
_FORM = "application/x-www-form-urlencoded"


class SharedAccess:
    """One password for all. `port` tells this server's cookie from that of another one here."""

    secrets = None

    def __init__(self, password: Password, port: int) -> None:
        self._password = password
        self._cookie = f"glasschat_session_{port}"
        self._sessions = Sessions()
        self._attempts = Attempts()

    def gate(self, app: ASGIApp) -> ASGIApp:
        """Everything is behind it but HEALTH, which says that the server is up and no more."""
        return _Gate(app, self._password, self._cookie, self._sessions, self._attempts)

    def person(self) -> Person:
        """Whoever got this far. The local user's conversations are theirs."""
        return Person(LOCAL_OWNER, can_sign_out=True)


class _Gate:
    def __init__(
        self,
        app: ASGIApp,
        password: Password,
        cookie: str,
        sessions: Sessions,
        attempts: Attempts,
    ) -> None:
        self._app = app
        self._password, self._cookie = password, cookie
        self._sessions, self._attempts = sessions, attempts
        # A guess takes 16 MB and a core: one at a time.
        self._one = CapacityLimiter(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Request(scope, receive)
        if is_https(request):
            send = secured(send)
        token = request.cookies.get(self._cookie)
        key = key_of(token) if token else None
        known = self._sessions.find(key) is not None
        if scope["type"] == "websocket":
            if known:
                socket = SessionSocket(receive, send, partial(self._over, key))
                await self._app(scope, socket.receive, socket.send)
            else:
                await turn_away(scope, receive, send)
            return
        answer = await self._answer(request, key, known)
        if answer is not None:
            await answer(scope, receive, send)
        elif known or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
        else:
            await turn_away(scope, receive, send)

    def _over(self, key: str | None) -> bool:
        return self._sessions.find(key) is None

    async def _answer(self, request: "_Request", key: str | None, known: bool) -> Response | None:
        """What the gate itself says to a request, if anything."""
        if request.scope["path"] == LOGOUT:
            return self._sign_out(request, key)
        if not wants_page(request):
            return None
        kind = request.headers.get("content-type", "").partition(";")[0]
        if request.method == "POST" and kind == _FORM:
            # Signed in already: on another tab, or by a second click.
            return _back(request) if known else await self._sign_in(request)
        return _page(request, 401) if request.method == "GET" and not known else None

    async def _sign_in(self, request: "_Request") -> Response:
        _ = _language(request)
        if not comes_from_here(request):
            return _page(request, 403, _("That came from another page. Please try again."))
        address = request.client.host if request.client else ""
        if wait_s := math.ceil(self._attempts.take(address)):
            told = _("Too many wrong passwords. Try again in {seconds} s.", seconds=wait_s)
            return _page(request, 429, told, wait_s)
        guess = await request.guess()
        if not await to_thread.run_sync(self._password.matches, guess, limiter=self._one):
            log.warning("a wrong password from %s", address)
            return _page(request, 401, _("That is not the password."))
        self._attempts.give_back(address)
        token = random.token_urlsafe(32)
        self._sessions.begin(key_of(token), Person(LOCAL_OWNER))
        answer = _back(request)
        answer.set_cookie(self._cookie, token, max_age=LIFETIME_S, httponly=True, samesite="lax")
        return answer

    def _sign_out(self, request: "_Request", key: str | None) -> Response:
        if not comes_from_here(request):
            return _page(request, 403)
        if key is not None:
            self._sessions.end(key)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(self._cookie, httponly=True, samesite="lax")
        return answer


class _Request(Request):
    """A request for a page, or for a socket: both have headers and cookies."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__({**scope, "type": "http"}, receive)

    async def guess(self) -> str:
        """The password that the form brings; "" for a form that no browser sends."""
        body = b""
        async for part in self.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return ""
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return fields.get(FIELD, [""])[0]


def _back(request: Request) -> RedirectResponse:
    return RedirectResponse(address_of(request.scope), 303, {"cache-control": "no-store"})


def _page(request: Request, status: int, notice: str = "", wait_s: int = 0) -> Response:
    page = HTMLResponse(sign_in_page(_language(request), notice), status)
    page.headers.update({"cache-control": "no-store", "vary": "accept-language,cookie"})
    if wait_s:
        page.headers["retry-after"] = str(wait_s)
    return page


def _language(request: Request) -> Translator:
    wanted = request.headers.get("accept-language")
    return translator(wanted, request.cookies.get(LANGUAGE_COOKIE))
