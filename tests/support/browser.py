"""A real browser in front of a real server.

A missing browser is a failure and never a skip: what no test looked at is not known to work.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tools.browser import MISSING, find_browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 60.0
STOP_SECONDS = 15.0


class ServerDidNotStart(Exception):
    """The server ended, or served no page in time; the message ends with what it printed."""


@dataclass(frozen=True)
class WebServer:
    """A running `glasschat web`, or whatever else was started in its place."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: Path

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it has printed so far, both streams."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def web_command(port: int, arguments: Sequence[str]) -> list[str]:
    """`glasschat web` with `arguments`, by this very environment's Python."""
    program = Path(sys.executable).with_name("glasschat")
    return [str(program), "web", *arguments, "--port", str(port)]


@contextmanager
def serving(
    *arguments: str,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    command: Callable[[int, Sequence[str]], list[str]] = web_command,
    start_seconds: float = START_SECONDS,
) -> Iterator[WebServer]:
    """Run `glasschat web ARGUMENTS` on a free port until the block ends; its page is up inside.

    Its output goes to a file in `folder`, or in a temporary one; its conversations are kept in a
    temporary one unless it is told otherwise. Raises ServerDidNotStart.
    """
    with tempfile.TemporaryDirectory(prefix="glasschat-") as temporary:
        port = free_port()
        log_path = (folder or Path(temporary)) / f"web-{port}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command(port, arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GLASSCHAT_DATA": temporary, **(environment or {})},
            )
            server = WebServer(process, port, log_path)
            try:
                wait_for_page(server, start_seconds)
                yield server
            finally:
                stop(process)


def wait_for_page(server: WebServer, seconds: float) -> None:
    """Return when the server answers with a page. Raises ServerDidNotStart."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        code = server.process.poll()
        if code is not None:
            raise ServerDidNotStart(f"it ended with exit code {code}:\n{server.log}")
        try:
            with urllib.request.urlopen(server.url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            if error.code == 401:
                return  # it asks for a password first
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise ServerDidNotStart(f"no page at {server.url} within {seconds:.0f} s:\n{server.log}")


def stop(process: subprocess.Popen[bytes]) -> int:
    """End this one process, politely at first; return its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium until the block ends. Fails the test when there is none."""
    found = find_browser()
    if found is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(found), headless=True, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser: Browser, url: str | None = None, **options: object) -> Iterator[Page]:
    """A page of a visitor of its own (own cookies, own storage); at `url`, if one is given.

    `options` are those of Playwright's `new_context`, as in `color_scheme="dark"`.
    """
    context = browser.new_context(**options)
    try:
        page = context.new_page()
        if url is not None:
            page.goto(url, wait_until="domcontentloaded")
        yield page
    finally:
        context.close()


class _SharedBrowser:
    """One browser for all tests of this process that ask for one, until `close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._browser: Browser | None = None

    def get(self) -> Browser:
        """Return the browser, which is launched where there is none."""
        if self._browser is None:
            self._browser = self._stack.enter_context(launched())
        return self._browser

    def close(self) -> None:
        """End the browser, if there is one."""
        self._browser = None
        self._stack.close()


_shared = _SharedBrowser()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the browser before a test that needs none.

    Playwright's synchronous API keeps an event loop running, and tests that start one of their
    own would be refused. The browser's tests come one after another, see `two_processes.py`.
    """
    if item.get_closest_marker("browser") is None:
        _shared.close()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """End the browser, after the fixtures that use it."""
    _shared.close()


@pytest.fixture
def browser() -> Browser:
    """The browser of this process."""
    return _shared.get()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of a new visitor."""
    with visiting(browser) as empty:
        yield empty
