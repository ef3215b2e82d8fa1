"""What programs are told where another server writes the replies."""

import asyncio
from typing import Any

import httpx
import pytest

from glasschat.api import RemoteStub
from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions
from glasschat.errors import RemoteError
from tests.support.browser import free_port
from tests.support.fake_remote import fake_remote


def get(stub: RemoteStub, path: str, method: str = "GET") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(stub)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_health_and_ready_are_this_servers() -> None:
    with (
        fake_remote() as remote,
        RemoteBackend(RemoteOptions(address=Address.parse(remote.url))) as backend,
    ):
        backend.load()
        stub = RemoteStub(backend)
        assert get(stub, "/health").json()["status"] == "ok"
        assert get(stub, "/ready").json() == {"status": "ready", "model": "tiny"}
        stub.state.draining = True
        assert get(stub, "/ready").status_code == 503


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/chat/completions", "/v1/x", "/tokenize", "/metrics"]
)
def test_the_rest_is_the_other_servers(path: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with RemoteBackend(RemoteOptions(address=Address.parse(url))) as backend:
        stub = RemoteStub(backend)
        assert stub.handles(path)
        for method in ("GET", "POST"):
            answer = get(stub, path, method)
            error: dict[str, Any] = answer.json()["error"]
            assert answer.status_code == 404
            assert "another server writes the replies" in error["message"]


def test_where_that_server_is_is_not_told_to_everybody() -> None:
    """Anybody may ask these two, and an address of one's own network is nobody's business."""
    port = free_port()
    with RemoteBackend(RemoteOptions(address=Address.parse(f"http://127.0.0.1:{port}"))) as backend:
        with pytest.raises(RemoteError):
            backend.load()
        stub = RemoteStub(backend)
        for path in ("/health", "/ready"):
            text = get(stub, path).text
            assert "cannot be asked now" in text and str(port) not in text
        assert get(stub, "/ready").status_code == 503
        assert get(stub, "/ready", "POST").status_code == 405
