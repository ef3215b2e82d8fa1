"""Whatever is typed or generated: a clear line, nothing lost, nothing run, nothing fetched."""

import re
import socket

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import foreign
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser

HOSTILE = """<img src=x onerror="window.owned=1"><script>window.owned=1</script>
![pixel](http://evil.example/x.png) \\\\![again](http://evil.example/y.png)
[click](javascript:window.owned=1) <a href="javascript:window.owned=1">raw</a>
![ref][1] `a
- ![span](http://evil.example/z.png)` :smile: :red[loud] value:key[0] ::note{x}
\u202eright to left\u202c \u2066isolate\u2069

[1]: http://evil.example/r.png
"""


def test_hostile_text_stays_text(arrive: Arrive, script: WebServer) -> None:
    """Once as the visitor's own words, once as the model's: the script says it after him."""
    someone = arrive(script)
    someone.ask(HOSTILE)
    someone.ends()
    someone.page.wait_for_timeout(500)
    someone.picture("hostile")
    chat = someone.chat
    expect(someone.reply).to_contain_text('<img src=x onerror="window.owned=1">')
    expect(someone.reply).to_contain_text("![pixel]")
    expect(someone.reply).to_contain_text(":red[loud] value:key[0] ::note{x}")
    assert chat.locator('[data-testid="stChatMessageContent"] img').count() == 0
    for link in chat.get_by_role("link").all():
        assert not (link.get_attribute("href") or "").startswith("javascript")
    someone.page.get_by_text("click").last.click(no_wait_after=True)
    assert someone.page.evaluate("window.owned") is None
    assert foreign(someone.requests, script) == []
    assert someone.complaints == []


def test_a_message_too_long_says_by_how_much_and_is_given_back(
    arrive: Arrive, script: WebServer
) -> None:
    someone = arrive(script)
    message = "word " * 900 + "end"
    someone.ask(message)
    expect(someone.notice).to_contain_text(re.compile(r"shorten it by \d+ tokens"))
    expect(someone.input).to_have_value(message)
    someone.picture("too-long")
    someone.ask("short")
    someone.sees("short")
    someone.ends()
    expect(someone.notice).to_have_count(0)


def test_a_blank_message_is_not_sent(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    for blank in ("", "   ", "\u2003"):
        someone.ask(blank)
    someone.page.wait_for_timeout(500)
    expect(someone.page.locator('[data-testid="stChatMessage"]')).to_have_count(0)
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()


def test_odd_characters_are_answered_like_others(arrive: Arrive, site: WebServer) -> None:
    someone = arrive(site)
    someone.open_more()
    someone.limit(3)
    someone.ask("nul \x00 here, 👩‍👩‍👧 Z̷̢ \ud800 \ufffe \u2028 end")
    someone.ends()
    expect(someone.notice).to_have_count(0)
    assert someone.complaints == []


def test_a_wrong_seed_says_what_a_seed_is(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    someone.open_more()
    for wrong in ("lucky", "-1", "lucky"):
        someone.seed.fill(wrong)
        someone.seed.press("Enter")
        someone.ask("keep me")
        expect(someone.notice).to_contain_text(f"or empty, and '{wrong}' is not")
        expect(someone.input).to_have_count(1)
        expect(someone.input).to_have_value("keep me")
    someone.seed.fill("7")
    someone.seed.press("Enter")
    someone.ask("keep me")
    someone.sees("keep me")
    someone.ends()


def handshake(server: WebServer, *, host: str, origin: str, path: str = "/_stcore/stream") -> int:
    """Ask for a websocket as a browser would; the status of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        return int(connection.recv(200).split()[1])


def test_a_page_elsewhere_gets_no_socket(script: WebServer) -> None:
    own = f"127.0.0.1:{script.port}"
    assert handshake(script, host=own, origin=script.url) == 101
    assert handshake(script, host="evil.example", origin="http://evil.example") == 403
    assert handshake(script, host=own, origin="http://evil.example") == 403
    assert handshake(script, host=f"evil.example:{script.port}", origin=script.url) == 403


def test_a_foreign_name_for_this_server_gets_no_page(script: WebServer) -> None:
    assert handshake(script, host="evil.example", origin=script.url, path="/") == 403
