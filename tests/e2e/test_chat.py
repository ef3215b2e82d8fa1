"""A question and its answer: drawn, copied, refused; nothing run, nothing fetched."""

import re
import socket

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import Visitor, foreign
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser


def test_a_first_question_is_answered_by_the_real_model(arrive: Arrive, site: WebServer) -> None:
    someone = arrive(site)
    someone.slide("Temperature", "Home")
    someone.picture("first")
    someone.ask("What is the capital of France? Answer in one English sentence.")
    someone.sees("Paris")
    figures = someone.ends()
    someone.shows_no_cursor()
    assert re.search(
        r"\d+ tokens · \d+ tokens/s · first after \d+\.\d\d s · cached \d+ of", figures
    )
    assert foreign(someone.requests, site) == []
    expect(someone.page.get_by_text("Deploy")).to_have_count(0)
    assert (
        someone.page.title() == "What is the capital of France? Answer in one English… · glasschat"
    )
    expect(someone.page.get_by_role("heading", name="SmolLM2-135M-Instruct")).to_be_visible()
    # Odd characters are answered like others.
    someone.open_more()
    someone.limit(3)
    someone.ask("nul \x00 here, 👩‍👩‍👧 Z̷̢ \ud800 \ufffe \u2028 end")
    someone.ends()
    expect(someone.notice).to_have_count(0)
    assert someone.complaints == []


RICH = """Some **bold** text, $5 and $10, and a formula: \\(x^2\\).

```python
def area(r):
    return 3.14 * r
```

\\[ e = mc^2 \\]

| a | b |
|---|---|
| 1 | 2 |

**raw** `text` for $5, :smile:
"""


def test_markdown_is_drawn_and_copied_as_the_model_wrote_it(
    arrive: Arrive, script: WebServer
) -> None:
    someone = arrive(script, permissions=["clipboard-read", "clipboard-write"])
    someone.ask(RICH)
    someone.ends()
    reply = someone.reply
    expect(reply.locator("strong").first).to_have_text("bold")
    expect(reply).to_contain_text("$5 and $10")
    expect(reply.locator(".katex").first).to_be_visible()
    assert reply.locator(".katex").count() == 2
    expect(reply.locator("code span").filter(has_text="def").first).to_be_visible()
    expect(reply.locator("td").first).to_have_text("1")
    someone.picture("rich")
    reply.locator("pre").hover()
    reply.get_by_role("button", name="Copy to clipboard").click()
    someone.page.wait_for_function("navigator.clipboard.readText()")
    assert clipboard(someone).strip() == "def area(r):\n    return 3.14 * r"
    someone.page.get_by_role("button", name="Copy", exact=True).last.click()
    expect(someone.page.get_by_text("Copied")).to_be_visible()
    assert clipboard(someone).strip() == RICH.strip()
    # The policy that forbids strangers' pictures forbids nothing that the page itself needs.
    assert someone.complaints == []


def clipboard(someone: Visitor) -> str:
    text: str = someone.page.evaluate("navigator.clipboard.readText()")
    return text


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


def test_what_cannot_be_sent_is_given_back(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    for blank in ("", "   ", "\u2003"):
        someone.ask(blank)
    someone.page.wait_for_timeout(500)
    expect(someone.page.locator('[data-testid="stChatMessage"]')).to_have_count(0)
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()
    message = "word " * 900 + "end"
    someone.ask(message)
    expect(someone.notice).to_contain_text(re.compile(r"shorten it by \d+ tokens"))
    expect(someone.input).to_have_value(message)
    someone.picture("too-long")
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
    expect(someone.notice).to_have_count(0)


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
