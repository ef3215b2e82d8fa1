"""A model hub on this machine: the few routes by which huggingface_hub lists and fetches files."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_SecretOfATest"
# From here on a file is kept apart, as with Git LFS, and served from another host.
LARGE = 1000


@dataclass
class Request:
    """What a client has asked."""

    method: str
    path: str
    start: int
    authorized: bool


@dataclass
class FakeHub:
    """A hub with one commit a repository.

    `cuts` has, for a file, after how many bytes each next answer breaks off; `errors` has the
    status with which each next answer to a download fails.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    listing: bytes | None = None
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, part: str = "") -> list[Request]:
        """The requests so far whose path holds `part`."""
        return [r for r in self.requests if r.method == method and part in r.path]


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub that listens on a port of its own until the block ends."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub))
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, hub: FakeHub, cache: Path) -> None:
    """Lead this process's huggingface_hub, which has read its settings already, to `hub`."""
    from huggingface_hub import constants

    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Or every answer waits 40 ms between its head and its body.
    disable_nagle_algorithm = True

    def __init__(self, hub: FakeHub, *arguments: Any) -> None:
        self._hub = hub
        super().__init__(*arguments)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """A listing, a file, or a file's bytes on the other host."""
        hub = self._hub
        path = unquote(self.path.split("?")[0])
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        authorized = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        hub.requests.append(Request(self.command, path, start, authorized))
        steps = path.strip("/").split("/")
        if steps[0] == "cdn":
            self._bytes("/".join(steps[3:]), hub.repos["/".join(steps[1:3])], start)
            return
        listing = steps[:2] == ["api", "models"]
        repo = "/".join(steps[2:4] if listing else steps[:2])
        revision = steps[5] if listing else steps[3]
        denied = repo in hub.gated | hub.private and not authorized
        if repo not in hub.repos or (repo in hub.private and denied):
            self._fail(401, "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self._fail(404, "RevisionNotFound")
        elif listing:
            self._list(repo)
        elif denied:
            self._fail(401, "GatedRepo")
        else:
            self._resolve(repo, "/".join(steps[4:]), start)

    def _list(self, repo: str) -> None:
        siblings = []
        for name, data in self._hub.repos[repo].items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": _git(data)}
            if len(data) >= LARGE:
                entry["lfs"] = {"sha256": _sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        body = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
        body = body if self._hub.listing is None else self._hub.listing
        self._answer(200, body, {"Content-Type": "application/json"})

    def _resolve(self, repo: str, name: str, start: int) -> None:
        data = self._hub.repos[repo].get(name)
        if data is None:
            self._fail(404, "EntryNotFound")
        elif len(data) >= LARGE:
            self._answer(
                302,
                b"",
                {
                    # Another host, to which no token may go along.
                    "Location": f"http://localhost:{self._hub.port}/cdn/{repo}/{name}",
                    "X-Linked-Etag": f'"{_sha256(data)}"',
                    "X-Linked-Size": str(len(data)),
                    "X-Repo-Commit": COMMIT,
                },
            )
        else:
            headers = {"ETag": f'"{_git(data)}"', "X-Repo-Commit": COMMIT}
            self._answer(200, data, headers)

    def _bytes(self, name: str, files: dict[str, bytes], start: int) -> None:
        hub = self._hub
        if hub.errors:
            self._answer(hub.errors.pop(0), b"", {})
            return
        data = files[name]
        if not hub.ranges:
            start = 0
        cut = hub.cuts[name].pop(0) if hub.cuts.get(name) else None
        self._answer(
            206 if start else 200,
            data[start:],
            {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {},
            cut,
        )

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, b"", {"X-Error-Code": code, "X-Repo-Commit": COMMIT})

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
