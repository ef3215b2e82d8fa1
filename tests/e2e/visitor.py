"""What a visitor does and sees on the chat page, in a visitor's words."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import WebServer, serving, visiting

WAIT_MS = 60_000
ARTIFACTS = Path(__file__).parents[2] / "artifacts"


class Visitor:
    """One visitor's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", self._console)
        page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    @property
    def input(self) -> Locator:
        """Where messages are typed."""
        return self.page.get_by_test_id("stChatInputTextArea")

    @property
    def stop(self) -> Locator:
        """The button that ends a reply."""
        return self.page.locator(".st-key-stop_reply button")

    @property
    def again(self) -> Locator:
        """The button that answers the last question anew; there once its reply has ended."""
        return self.page.get_by_role("button", name=re.compile("^(Again|重新生成)$")).last

    @property
    def chat(self) -> Locator:
        """The page without its sidebar."""
        return self.page.get_by_role("main")

    @property
    def reply(self) -> Locator:
        """The body of the last reply."""
        return self.page.locator('[class*="st-key-said_"]').last

    @property
    def line(self) -> Locator:
        """The line under the last reply: its status at first, then its figures."""
        tools = '[class*="st-key-tools_"]'
        return self.page.locator(
            f'{tools} [data-testid="stCaptionContainer"]:visible, {tools} .line:visible'
        ).last

    @property
    def notice(self) -> Locator:
        """What the page says went wrong."""
        return self.page.get_by_role("alert")

    @property
    def seed(self) -> Locator:
        """Where the seed is typed."""
        return self.page.get_by_role("textbox", name="Seed")

    def arrive(self, url: str) -> None:
        """Open the page and wait until one can type."""
        self.page.goto(url, wait_until="domcontentloaded")
        expect(self.input).to_be_visible(timeout=WAIT_MS)

    def ask(self, text: str) -> None:
        """Send a message."""
        self.input.fill(text)
        self.input.press("Enter")

    def sees(self, text: str | re.Pattern[str]) -> None:
        """The reply comes to show `text`."""
        expect(self.reply).to_contain_text(text, timeout=WAIT_MS)

    def ends(self) -> str:
        """Wait for the end of the reply; its figures."""
        expect(self.stop).to_have_count(0, timeout=WAIT_MS)
        expect(self.again).to_be_visible(timeout=WAIT_MS)
        return self.line.inner_text()

    def leave(self) -> None:
        """Stop what is being written: it would go on without a page, and others wait for it."""
        if not self.page.is_closed() and self.stop.is_visible():
            self.stop.click()
            expect(self.stop).to_have_count(0, timeout=WAIT_MS)

    def slide(self, name: str, key: str) -> None:
        """Move a slider with one key."""
        slider = self.page.get_by_role("slider", name=name)
        slider.focus()
        slider.press(key)

    def open_more(self) -> None:
        """Unfold the rest of the settings."""
        self.settles()
        self.page.get_by_text("More settings").click()
        expect(self.seed).to_be_visible()
        self.settles()

    def switch_on(self, key: str) -> None:
        """Put on one of the switches among the settings."""
        switch = self.page.locator(f".st-key-{key} input")
        self.settles()
        self.page.locator(f".st-key-{key} label").click()
        expect(switch).to_be_checked()
        self.settles()
        expect(switch).to_be_checked()

    def limit(self, tokens: int) -> None:
        """Limit replies to so many tokens."""
        box = self.page.locator(".st-key-max_new_tokens input")
        if not box.is_visible():
            self.switch_on("limit_reply")
        box.fill(str(tokens))
        box.press("Enter")
        expect(box).to_have_value(str(tokens))
        self.settles()

    def settles(self) -> None:
        """The page is drawn and nothing on it moves: a click before that may be lost.

        A part that is unfolded slides for a third of a second: what was pressed is elsewhere
        when the button is let go.
        """
        app = self.page.locator('[data-testid="stApp"]')
        expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=WAIT_MS)
        self.page.evaluate("""async () => {
          const frame = () => new Promise(requestAnimationFrame);
          await frame();
          await frame();
          // One that was replaced may never say that it is finished, so they are asked.
          const moves = a => a.playState === "running"
            && a.effect.getComputedTiming().endTime < Infinity;
          while (document.getAnimations().some(moves)) await frame();
        }""")

    def shows_no_cursor(self) -> None:
        """Nothing pretends to be written still."""
        expect(self.reply).not_to_contain_text("▌")

    def boxes(self) -> dict[str, list[float]]:
        """Top and height of what is on the page, in pixels."""
        script = """() => {
          const round = value => Math.round(value * 2) / 2;
          const seen = {};
          const parts = '[class*="st-key-said_"] :is(p, pre, li), [class*="st-key-tools_"], '
            + '[data-testid="stChatInput"], .st-key-foot, h1';
          document.querySelectorAll(parts).forEach((element, number) => {
            const box = element.getBoundingClientRect();
            seen[number + " " + element.tagName] = [round(box.top), round(box.height)];
          });
          return seen;
        }"""
        boxes: dict[str, list[float]] = self.page.evaluate(script)
        return boxes

    def picture(self, name: str) -> None:
        """Keep what is seen for human eyes."""
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png")


Somebody = TypeVar("Somebody", bound=Visitor)


@contextmanager
def visitor(
    browser: Browser, server: WebServer, *, kind: type[Somebody] = Visitor, **options: Any
) -> Iterator[Somebody]:
    """Somebody with cookies and storage of their own, on the page of `server`."""
    with visiting(browser, **options) as page:
        someone = kind(page)
        someone.arrive(server.url)
        yield someone
        if server.process.poll() is None:
            someone.leave()


def scripted_site(*arguments: str, folder: Path) -> AbstractContextManager[WebServer]:
    """A server with the scripted model behind it."""

    def command(port: int, given: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "tests.e2e.scripted_site", "--port", str(port), *given]

    return serving(*arguments, folder=folder, command=command)


def foreign(requests: Sequence[str], server: WebServer) -> list[str]:
    """Requests that left for somebody else."""
    own = (server.url, "data:", f"blob:{server.url}", server.url.replace("http", "ws", 1))
    return [url for url in requests if not url.startswith(own)]
