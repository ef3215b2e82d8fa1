"""The middleware of `--password`, in front of an app that lets everybody in."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from glasschat.chat.store import LOCAL_OWNER
from glasschat.web.access.base import User
from glasschat.web.access.password import LONGEST, Password
from glasschat.web.access.requests import local_url
from glasschat.web.access.shared import SharedPasswordAccess

SECRET = "a long enough password"
PAGE = {"accept": "text/html,*/*;q=0.8"}
HERE = {**PAGE, "origin": "http://testserver"}


async def everything(request: Request) -> PlainTextResponse:
    """The app that is protected."""
    return PlainTextResponse("inside")


async def echo(socket: WebSocket) -> None:
    """A socket that says what it hears."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


@pytest.fixture
def access() -> SharedPasswordAccess:
    return SharedPasswordAccess(Password(SECRET), 8501)


def visitor(access: SharedPasswordAccess, **options: object) -> TestClient:
    """Somebody with cookies of their own."""
    methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]
    app = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", echo),
            Route("/{path:path}", everything, methods=methods),
        ]
    )
    return TestClient(access.protect(app), follow_redirects=False, **options)  # type: ignore[arg-type]


@pytest.fixture
def stranger() -> TestClient:
    return visitor(SharedPasswordAccess(Password(SECRET), 8501))


@pytest.fixture
def someone(access: SharedPasswordAccess) -> Iterator[TestClient]:
    someone = visitor(access)
    assert someone.post("/", data={"password": SECRET}, headers=HERE).status_code == 303
    yield someone


BEHIND = ["/", "/static/js/index.js", "/media/x.png", "/component/a", "/_stcore/metrics", "//x"]
BEHIND += ["/_stcore/upload_file/a/b", "/_stcore/host-config", "/replies/1", "/oauth2callback"]


@pytest.mark.parametrize("path", BEHIND)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_a_stranger_reaches_nothing(stranger: TestClient, path: str, method: str) -> None:
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert "inside" not in answer.text


def test_only_that_the_server_is_up(stranger: TestClient) -> None:
    assert stranger.get("/_stcore/health").text == "inside"
    for near in ("/_stcore/health/", "/_stcore/healthy", "//_stcore/health", "/_stcore/HEALTH"):
        assert stranger.get(near).status_code == 401


def test_a_stranger_gets_no_socket(stranger: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect("/_stcore/stream"):
        pass


def test_a_page_is_a_form(stranger: TestClient) -> None:
    answer = stranger.get("/?chat=1", headers=PAGE)
    assert answer.status_code == 401
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert 'type="password"' in answer.text
    assert '<html lang="en">' in answer.text
    assert "<script" not in answer.text


def test_the_form_in_chinese(stranger: TestClient) -> None:
    chinese = {**PAGE, "accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}
    assert '<html lang="zh-CN">' in stranger.get("/", headers=chinese).text
    stranger.cookies.set("glasschat_language", "en")
    assert '<html lang="en">' in stranger.get("/", headers=chinese).text, "as was chosen here"


def test_the_password_opens_and_the_address_is_kept(stranger: TestClient) -> None:
    answer = stranger.post("/?chat=Ab_-9&x=a%20b", data={"password": SECRET}, headers=HERE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?chat=Ab_-9&x=a%20b"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("glasschat_session_8501=")
    for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"):
        assert part in cookie
    assert "Secure" not in cookie, "plain http: the browser would not send it back"
    assert SECRET not in str(answer.headers)
    assert stranger.get("/").text == "inside"


def test_https_cookies_stay_on_https() -> None:
    access = SharedPasswordAccess(Password(SECRET), 8501)
    someone = visitor(access, base_url="https://chat.example")
    headers = {**PAGE, "origin": "https://chat.example"}
    answer = someone.post("/", data={"password": SECRET}, headers=headers)
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_a_wrong_password_does_not(stranger: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for wrong in ("", "A long enough password", SECRET + " ", "x" * (LONGEST + 1), "y" * 5000):
        answer = stranger.post("/", data={"password": wrong}, headers=HERE)
        assert answer.status_code == 401
        assert "That is not the password." in answer.text
        assert "set-cookie" not in answer.headers
    assert "testclient" in caplog.text
    assert "enough" not in caplog.text, "what was nearly right is not written down"


def test_guesses_run_out_and_the_right_one_waits_too(stranger: TestClient) -> None:
    for _ in range(5):
        stranger.post("/", data={"password": "guess"}, headers=HERE)
    answer = stranger.post("/", data={"password": SECRET}, headers=HERE)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 30
    assert f"Try again in {answer.headers['retry-after']} s." in answer.text
    assert stranger.get("/").status_code == 401


def test_guessing_locks_nobody_out_who_is_in(
    access: SharedPasswordAccess, someone: TestClient
) -> None:
    for _ in range(6):
        visitor(access).post("/", data={"password": "guess"}, headers=HERE)
    assert someone.get("/").text == "inside"


@pytest.mark.parametrize(
    "told",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver:81"},
        {"origin": "http://testserver.evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_elsewhere_signs_nobody_in(stranger: TestClient, told: dict[str, str]) -> None:
    answer = stranger.post("/", data={"password": SECRET}, headers={**PAGE, **told})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_it_wherever_the_cookie_is_shown(someone: TestClient) -> None:
    cookies = dict(someone.cookies)
    assert someone.get("/auth/logout", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert someone.get("/").text == "inside", "no page elsewhere signs anybody out"
    answer = someone.get("/auth/logout", headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert someone.get("/").status_code == 401
    someone.cookies.update(cookies)
    assert someone.get("/").status_code == 401


def test_an_open_socket_closes_with_its_session(
    access: SharedPasswordAccess, someone: TestClient
) -> None:
    cookies = dict(someone.cookies)
    other_tab = visitor(access, cookies=cookies)
    with other_tab.websocket_connect("/_stcore/stream") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
        someone.get("/auth/logout", headers=PAGE)
        socket.send_text("still here?")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1008


def test_a_second_click_on_sign_in_leads_on(someone: TestClient) -> None:
    answer = someone.post("/?chat=1", data={"password": "whatever"}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?chat=1")


def test_a_made_up_cookie_is_worth_nothing(stranger: TestClient) -> None:
    for value in ("", "x", "a" * 43, "0"):
        headers = {"cookie": f"glasschat_session_8501={value}"}
        assert stranger.get("/", headers=headers).status_code == 401


def test_whoever_is_in_is_the_local_user(access: SharedPasswordAccess) -> None:
    assert access.user() == User(LOCAL_OWNER, can_sign_out=True)


HOSTILE = st.text(st.sampled_from("/\\.@:?#%&= \t\r\nabé\u2044\x00"), max_size=12)


@given(path=HOSTILE, query=HOSTILE)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_way_back_is_never_elsewhere(path: str, query: str) -> None:
    """Whatever path was asked for. `tests/e2e/test_access_password.py` asks a browser too."""
    scope: Scope = {"path": "/" + path, "query_string": query.encode("utf-8")}
    address = local_url(scope)
    assert address.startswith("/")
    assert not address.startswith(("//", "/\\"))
    assert urlsplit(address).netloc == ""
    assert address.isascii()
    assert address.isprintable()
    assert not set(address) & set(' \\"<>#')
