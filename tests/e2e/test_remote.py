"""The chat in front of another server, which is stopped, killed, and started again."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import WAIT_MS
from tests.support.browser import (
    START_SECONDS,
    WebServer,
    free_port,
    serving,
    stop,
    wait_for_page,
)

pytestmark = pytest.mark.browser

LINE = "the quick brown fox jumps over the lazy dog. "


@contextmanager
def remote(port: int, folder: Path) -> Iterator[WebServer]:
    """A glasschat with the scripted model: programs ask it on the port of its pages."""
    log = folder / "remote.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.scripted_site", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "GLASSCHAT_DATA": str(folder)},
        )
    server = WebServer(process, port, log)
    try:
        wait_for_page(server, START_SECONDS)
        yield server
    finally:
        stop(process)


def test_a_chat_in_front_of_another_server(arrive: Arrive, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with serving("--remote", url, folder=tmp_path) as front:
        page = front.url
        with remote(port, tmp_path) as first:
            someone = arrive(front)
            expect(someone.page.get_by_role("heading", name="scripted")).to_be_visible()
            expect(someone.chat.get_by_text("glasschat · 4,096 tokens")).to_be_visible()

            # Stopped here, it stops there, where there is one slot; then it goes on.
            someone.ask("slowly: " + LINE * 20)
            someone.sees("the quick")
            someone.stop.click()
            assert someone.ends().endswith("stopped")
            before = someone.reply.inner_text()
            someone.chat.get_by_role("button", name="Go on").click()
            someone.sees(before + LINE[len(before) :][:3])

            # Killed in mid-stream.
            first.process.kill()
            error = someone.chat.get_by_text("broke off in the middle of the reply")
            expect(error).to_be_visible(timeout=WAIT_MS)
            assert f"127.0.0.1:{port}" in error.inner_text()
            kept = someone.reply.inner_text().split("\n")[0]
            assert len(kept) > len(before) and (LINE * 20).startswith(kept[:40])

        # Gone: the page says so, and what it has stays.
        go_on = someone.chat.get_by_role("button", name="Go on")
        go_on.click()
        expect(someone.notice.filter(has_text="nothing answers at").first).to_be_visible()
        expect(someone.chat.get_by_text("not reachable")).to_be_visible(timeout=WAIT_MS)
        assert someone.reply.inner_text().startswith(kept[:40])

        # Back: it is found without a new start, and the reply goes on to its end.
        with remote(port, tmp_path):
            expect(someone.chat.get_by_text("● ready")).to_be_visible(timeout=WAIT_MS)
            go_on.click()
            expect(error).to_have_count(0, timeout=WAIT_MS)
            someone.stop.click()
            someone.ends()
            assert len(someone.reply.inner_text()) >= len(kept)
            someone.ask("and now this")
            someone.sees(re.compile("and now this"))
            someone.ends()
        assert page in someone.page.url
        assert not [c for c in someone.complaints if "WebSocket" not in c]
