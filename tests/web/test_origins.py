"""Which web pages may have a browser talk to the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from glasschat.web.origins import OriginCheck

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def host_of(request: Request) -> PlainTextResponse:
    """The Host that the app behind the check sees."""
    return PlainTextResponse(request.headers["host"])


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("open")
    await socket.close()


APP = Starlette(
    routes=[WebSocketRoute("/socket", echo), Route("/{path:path}", host_of, methods=METHODS)]
)


def client(*named: str, url: str = "http://127.0.0.1:8501") -> TestClient:
    return TestClient(OriginCheck(APP, named), base_url=url)


def opens_socket(client: TestClient, origin: str) -> bool:
    address = str(client.base_url).replace("http", "ws", 1).rstrip("/")
    try:
        with client.websocket_connect(f"{address}/socket", headers={"origin": origin}) as socket:
            return bool(socket.receive_text() == "open")
    except WebSocketDisconnect:
        return False


FOREIGN = [
    "http://evil.example",
    "http://127.0.0.1:9000",
    "http://127.0.0.1",
    "https://127.0.0.1:8501",
    "http://localhost:8501",
    "http://127.0.0.1:8501.evil.example",
    "http://127.0.0.1:8501@evil.example",
    "http://user@127.0.0.1:8501",
    "http://127.0.0.1:8501/path",
    "http://127.0.0.1:99999",
    "null",
    "",
    "file://",
    "app://obsidian.md",
    "chrome-extension://abc",
    "http://[::1",
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", METHODS)
def test_a_page_of_another_address_changes_and_reads_nothing(origin: str, method: str) -> None:
    assert client().request(method, "/x", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_address_opens_no_socket(origin: str) -> None:
    assert not opens_socket(client(), origin)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8501", "http://127.0.0.1:8501"),
        ("http://localhost:8501", "http://LOCALHOST:8501"),
        ("http://[::1]:8501", "http://[::1]:8501"),
        ("http://chat.example", "http://chat.example:80"),
        ("https://chat.example", "https://chat.example"),
    ],
)
def test_a_page_of_this_server_is_let_in(url: str, origin: str) -> None:
    assert client(url=url).post("/x", headers={"origin": origin}).status_code == 200
    assert opens_socket(client(url=url), origin)


def test_a_program_without_an_origin_is_let_in() -> None:
    assert client().post("/x").status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://chat.example.org", "http://chat.example.org", "https://chat.example.org:8501"],
)
def test_a_named_host_is_let_in_behind_a_proxy_that_says_nothing(origin: str) -> None:
    """The app sees the origin's own host, which is what Streamlit compares it with."""
    named = client("Chat.example.org")
    answer = named.post("/x", headers={"origin": origin})
    assert answer.status_code == 200
    assert answer.text == origin.partition("://")[2]
    assert opens_socket(named, origin)


def test_another_port_of_a_named_host_is_not_let_in() -> None:
    named = client("chat.example.org")
    assert named.post("/", headers={"origin": "https://chat.example.org:9443"}).status_code == 403


@given(st.text(max_size=60))
def test_whatever_an_origin_says_it_is_one_of_ours_or_refused(text: str) -> None:
    try:
        origin = text.encode("latin-1")
    except UnicodeEncodeError:
        origin = text.encode()
    if any(byte in b"\r\n\0" for byte in origin):
        return
    answer = client().post("/", headers={b"origin": origin})
    assert answer.status_code == (
        200 if origin.strip(b" \t").lower() == b"http://127.0.0.1:8501" else 403
    )
