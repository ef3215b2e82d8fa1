"""Bytes that no client of good will sends. Whatever they are: an answer below 500, no traceback
anywhere, and afterwards all slots are free and the next request is answered at once.
"""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.hostile import Target, chat, request, rest_of, target
from tests.api.serving import COMPLETIONS, wait_until
from tests.support.examples import examples

HEAD_TIMEOUT_S = 0.5
READ_TIMEOUT_S = 0.5
LONG = 3000


@pytest.fixture(scope="module")
def module_server() -> Iterator[Target]:
    limits = ["--head-within", str(HEAD_TIMEOUT_S), "--unread", str(READ_TIMEOUT_S)]
    with target("--step", "0.002", *limits) as found:
        yield found


@pytest.fixture
def server(module_server: Target) -> Iterator[Target]:
    yield module_server
    module_server.check()


def status_of(answer: bytes) -> int | None:
    """None where the server closed without a word."""
    assert b"Traceback" not in answer
    if not answer:
        return None
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
    assert found, answer[:200]
    status = int(found[1])
    assert 200 <= status < 500, answer[:2000]
    return status


# --- what is no HTTP, or hardly ------------------------------------------------------------------

GOOD = chat(max_tokens=1)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SOCKET = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def get(line: bytes) -> bytes:
    return line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def chunked(body: bytes, more: bytes = b"") -> bytes:
    return request(body, length=None, more=CHUNKED + more)


STRANGE = {
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 256)), 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "no host": (request(GOOD, host=None), 400),
    "two hosts": (request(GOOD, more=b"Host: evil.example\r\n"), 400),
    "the same host twice": (request(GOOD, more=b"Host: localhost\r\n"), 400),
    "a host that is no text": (request(GOOD, host=b"\xff\xfe"), 400),
    "an address of elsewhere": (get(b"GET http://evil.example/v1/models"), 404),
    "no path": (get(b"OPTIONS *"), 404),
    "a tunnel": (get(b"CONNECT localhost:443"), 404),
    "a method of one's own": (get(b"BREW /v1/models"), 405),
    "a path that is no text": (get(b"GET /v1/models/\xff"), 400),
    "a path of no UTF-8": (get(b"GET /v1/models/%ff%fe%00%ed%a0%80"), 404),
    "a path half encoded": (get(b"GET /v1/models/%z"), 404),
    "an id that is no text": (request(GOOD, more=b"X-Request-Id: \xff\xfe\r\n"), 200),
    "a key that is no text": (request(GOOD, more=b"Authorization: Bearer \xff\r\n"), 200),
    "a kind that is no text": (request(GOOD, kind=b"application/\xffjson"), 415),
    "a header with a zero": (request(GOOD, more=b"X-A: a\x00b\r\n"), 400),
    "a header without a name": (request(GOOD, more=b": a\r\n"), 400),
    "a header without a colon": (request(GOOD, more=b"nonsense\r\n"), 400),
    "a space before the colon": (request(GOOD, more=b"Content-Length : 3\r\n"), 400),
    "headers without end": (request(GOOD, more=b"X-A: a\r\n" * 200_000), 400),
    "a header without end": (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 2_000_000, 400),
    "a length below 0": (request(GOOD, length=b"-5"), 400),
    "a length in words": (request(GOOD, length=b"five"), 400),
    "a length with a sign": (request(GOOD, length=b"+5"), 400),
    "a length of 30 digits": (request(GOOD, length=b"9" * 30), 400),
    "two lengths": (request(GOOD, more=b"Content-Length: 3\r\n"), 400),
    "a length that is too short": (request(GOOD, length=b"9"), 400),
    "no length": (request(GOOD, length=None), 400),
    "chunks": (chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)), 200),
    "a chunk of no size": (chunked(b"zz\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk of size -1": (chunked(b"-1\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk of 40 digits": (chunked(b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk that is too long": (chunked(b"3\r\nabcdef\r\n0\r\n\r\n"), 400),
    "chunks of another kind": (request(GOOD, length=None, more=CHUNKED[:-2] + b", gzip\r\n"), 400),
    "an expectation": (request(GOOD, more=b"Expect: 100-continue\r\n"), 200),
    "a socket": (SOCKET % (b"/v1/chat/completions", b"websocket"), 403),
    "a socket of the pages": (SOCKET % (b"/_stcore/stream", b"websocket"), 403),
    "a socket without a key": (SOCKET.replace(b"-Key", b"-Nokey") % (b"/", b"websocket"), 400),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_hardly_http(server: Target, name: str) -> None:
    data, status = STRANGE[name]
    assert status_of(server.tell(data, half=False)) == status


@pytest.mark.parametrize("cut", range(0, len(request(GOOD)), 16))
def test_who_says_a_part_and_then_no_more(module_server: Target, cut: int) -> None:
    """Closed for writing only: this client would still read."""
    answer = module_server.tell(request(GOOD)[:cut])
    assert status_of(answer) in (None, 400)


# --- headers and bodies at random ----------------------------------------------------------------

FEW = settings(max_examples=examples(40), deadline=None)
KNOWN = (
    b"Authorization Connection Content-Encoding Cookie Expect Origin Range Transfer-Encoding "
    b"Upgrade X-Forwarded-For X-Request-Id"
)
NAMES = st.sampled_from(KNOWN.split()) | st.binary(min_size=1, max_size=8)
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=6)


@FEW
@given(HEADERS)
def test_any_headers(module_server: Target, headers: list[tuple[bytes, bytes]]) -> None:
    more = b"".join(b"%s: %s\r\n" % header for header in headers)
    status_of(module_server.tell(request(GOOD, more=more)))


HOSTS = st.binary(max_size=20) | st.sampled_from(
    [b"localhost", b"LOCALHOST:1", b"[::1]:80", b"127.0.0.1:", b"127.0.0.1.evil.example"]
)


@FEW
@given(HOSTS)
def test_any_host(module_server: Target, host: bytes) -> None:
    own = re.fullmatch(
        rb"[ \t]*(localhost\.?|127\.0\.0\.1\.?|\[::1\])(:[0-9]+)?[ \t]*", host, re.IGNORECASE
    )
    assert status_of(module_server.tell(get_from(host), half=False)) == (200 if own else 400)


def get_from(host: bytes) -> bytes:
    return b"GET /v1/models HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n" % host


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\x00", "json_schema", "length", "user", "0" * 400])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def fields_of(module_server: Target, form: str) -> dict[str, Any]:
    document = module_server.client.get("/openapi.json").json()
    properties: dict[str, Any] = document["components"]["schemas"][form]["properties"]
    return properties


@pytest.mark.parametrize(
    ("path", "form"), [("/v1/chat/completions", "ChatRequest"), (COMPLETIONS, "CompletionRequest")]
)
def test_any_value_in_any_field(module_server: Target, path: str, form: str) -> None:
    names = sorted(fields_of(module_server, form))
    good = json.loads(GOOD) if form == "ChatRequest" else {"prompt": "Hello"}

    @FEW
    @given(st.dictionaries(st.sampled_from(names), VALUES, min_size=1, max_size=3))
    def check(fields: dict[str, Any]) -> None:
        body = json.dumps({**good, **fields, "max_tokens": 2})
        status_of(module_server.tell(request(body.encode(), path), half=False))

    check()
    module_server.check()


BYTES = st.binary(max_size=60) | st.builds(
    lambda at, new: GOOD[:at] + new + GOOD[at:], st.integers(0, len(GOOD)), st.binary(max_size=4)
)


@FEW
@given(BYTES, st.sampled_from(["/v1/chat/completions", COMPLETIONS, "/tokenize", "/detokenize"]))
def test_any_bytes_as_a_body(module_server: Target, body: bytes, path: str) -> None:
    status_of(module_server.tell(request(body, path), half=False))


# --- clients that are slow, or half gone ---------------------------------------------------------


@pytest.mark.parametrize("first", [b"", b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_head_that_comes_letter_by_letter_is_not_waited_for(server: Target, first: bytes) -> None:
    """Of a first request, and of one that follows on the same connection."""
    with server.connected() as connection:
        connection.sendall(first)
        if first:
            assert b" 200 " in connection.recv(65536)
        began = time.monotonic()
        connection.settimeout(HEAD_TIMEOUT_S / 10)
        for letter in b"GET /v1/models HTTP/1.1\r\nX-A: " + b"a" * 1000:
            try:
                connection.sendall(bytes([letter]))
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert HEAD_TIMEOUT_S / 2 < time.monotonic() - began < 10 * HEAD_TIMEOUT_S


def test_nothing_at_all_is_not_waited_for(server: Target) -> None:
    began = time.monotonic()
    assert server.tell(b"", half=False) == b""
    assert HEAD_TIMEOUT_S / 2 < time.monotonic() - began < 10 * HEAD_TIMEOUT_S


def test_who_goes_on_after_the_answer_is_not_listened_to(server: Target) -> None:
    """A body that is refused by its head may be a long one."""
    with server.connected() as connection:
        connection.sendall(
            request(b"x", kind=b"text/plain", length=b"1000000000").replace(b"close", b"keep-alive")
        )
        assert b" 415 " in connection.recv(65536)
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 20 * HEAD_TIMEOUT_S:
                connection.sendall(b"x" * 100)
                time.sleep(0.02)


def leaves_half(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


@pytest.mark.parametrize("leave", [leaves_half, resets])
@pytest.mark.parametrize("stream", [False, True])
def test_who_is_gone_keeps_no_slot(
    server: Target, leave: Callable[[socket.socket], None], stream: bool
) -> None:
    """Eight for four slots; a reply would take six seconds, and eight twice that."""
    began = time.monotonic()
    connections = [
        socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(8)
    ]
    for connection in connections:
        connection.sendall(request(chat(max_tokens=LONG, stream=stream)))
    wait_until(lambda: server.busy() == 8)
    for connection in connections:
        leave(connection)
    wait_until(lambda: server.busy() == 0)
    assert time.monotonic() - began < 4
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("reads", [False, True], ids=["nothing", "little"])
def test_who_takes_nothing_in_is_cut_off(server: Target, reads: bool) -> None:
    """What waits there to be read is given up; who reads, however slowly, gets it all."""
    body = json.dumps({"prompt": "x" * 600_000, "return_token_strs": True}).encode()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(request(body, "/tokenize"))
        told = slow.recv(1000)
        began = time.monotonic()
        while time.monotonic() - began < 4 * READ_TIMEOUT_S:
            time.sleep(READ_TIMEOUT_S / 10)
            told += slow.recv(50_000) if reads else b""
        head, _, answer = (told + rest_of(slow)).partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length and (len(answer) == int(length[1])) is reads


def test_one_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    with target("--step", "0.002", "--most-open", "6") as server:
        wait_until(lambda: server.client.get("/metrics").status_code == 200)
        server.client.close()
        idle = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(5)]
        with server.connected() as last, server.connected() as refused:
            refused.sendall(request(GOOD))
            head, _, body = rest_of(refused).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1" in head
            assert "6 connections" in json.loads(body)["error"]["message"]
            last.sendall(request(GOOD))
            assert status_of(rest_of(last)) == 200
        for connection in idle:
            connection.close()
        wait_until(lambda: b" 200 " in server.tell(request(GOOD), half=False))
