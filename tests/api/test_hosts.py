"""Under which names the server answers."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from glasschat.api.hosts import HostCheck, allowed_host_names
from glasschat.config import WebOptions

INSIDE = PlainTextResponse("inside")
LOCAL = TestClient(HostCheck(INSIDE, allowed_host_names(WebOptions())))
BY_NUMBER = TestClient(HostCheck(INSIDE, ["chat.example"], allow_addresses=True))


def status(client: TestClient, host: str) -> int:
    return client.get("/", headers={"host": host}).status_code


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("port", ["", ":8501", ":80"])
def test_loopback_by_its_names(name: str, port: str) -> None:
    assert status(LOCAL, name + port) == 200


FOREIGN = ["evil.example", "evil.example:8501", "localhost.evil.example", "192.0.2.1", "[::2]"]
MANGLED = ["", "localhost@evil.example", "[", "[::1", "127.0.0.1, evil.example", "localhost:x"]


@pytest.mark.parametrize("host", [*FOREIGN, *MANGLED])
def test_no_other_name(host: str) -> None:
    assert status(LOCAL, host) == 400


def test_no_socket_under_another_name() -> None:
    told = {"host": "evil.example"}
    with pytest.raises(WebSocketDisconnect), LOCAL.websocket_connect("/", headers=told):
        pass


@given(st.ip_addresses())
def test_numbers_where_others_reach_us(address: ipaddress.IPv4Address) -> None:
    """Nobody can point an address in numbers here."""
    host = f"[{address}]:8501" if address.version == 6 else f"{address}:8501"
    assert status(BY_NUMBER, host) == 200


@pytest.mark.parametrize(
    "host", ["1.2.3", "1.2.3.4.5", "0x7f.1.example", "1.2.3.4.example", "٤.1.1.1"]
)
def test_what_only_looks_like_numbers(host: str) -> None:
    assert (
        TestClient(HostCheck(INSIDE, [], allow_addresses=True))
        .get("/", headers={"host": host.encode()})
        .status_code
        == 400
    )


NAMES = st.from_regex(r"\A[a-z0-9.:\[\]-]{0,12}\Z") | st.sampled_from(
    ["chat.example", "CHAT.example:8501", "chat.example:", "achat.example", "chat.example.evil"]
)


@given(NAMES)
def test_never_looser_than_starlettes_own(host: str) -> None:
    """Starlette's middleware answers the same question for names without a trailing dot."""
    theirs: ASGIApp = TrustedHostMiddleware(INSIDE, ["chat.example"], www_redirect=False)
    if status(TestClient(HostCheck(INSIDE, ["chat.example"])), host) == 200:
        assert status(TestClient(theirs), host) == 200 or host.startswith("chat.example.")


def test_this_machine_goes_by_its_name_on_a_network_only() -> None:
    own = socket.gethostname().lower()
    options = WebOptions(host="192.0.2.1", allowed_hosts=("chat.example",))
    assert {own, "192.0.2.1", "chat.example", "localhost"} <= allowed_host_names(options)
    assert own == "localhost" or own not in allowed_host_names(WebOptions())
