"""The way to a browser and a server is itself walked once, without glasschat's own page."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import ServerDidNotStart, serving, visiting
from tools.browser import find_browser


def file_server(port: int, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", *arguments]


@pytest.mark.browser
def test_a_page_is_served_and_read(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "index.html").write_text("<h1>through the glass</h1>")
    with serving("--directory", str(tmp_path), command=file_server, folder=tmp_path) as server:
        with visiting(browser, server.url, color_scheme="dark") as page:
            assert page.get_by_role("heading").inner_text() == "through the glass"
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert "GET / HTTP" in server.log
    assert server.process.poll() is not None


def test_a_server_that_ends_early_says_what_it_printed(tmp_path: Path) -> None:
    def broken(port: int, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('port in use')"]

    with (
        pytest.raises(ServerDidNotStart, match="exit code 1:\nport in use"),
        serving(command=broken, folder=tmp_path),
    ):
        pass


def test_a_stub_is_not_taken_for_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ubuntu's chromium-browser, where snaps are off, prints how to get a browser and fails."""
    stub = tmp_path / "chromium"
    stub.write_text("#!/bin/sh\necho 'Chromium: please install the snap' >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("GLASSCHAT_BROWSER", str(stub))
    assert find_browser() is None
