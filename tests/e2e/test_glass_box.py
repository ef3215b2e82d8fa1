"""The glass box: what a visitor sees of a reply's tokens, and does with them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from tests.e2e.visitor import WAIT_MS, Visitor
from tests.support.browser import WebServer, serving

pytestmark = pytest.mark.browser

Arrive = Callable[..., Visitor]
QUESTION = "Why is the sky blue?"


class Box:
    """The glass box on a visitor's page."""

    def __init__(self, visitor: Visitor) -> None:
        self.page: Page = visitor.page
        self.root: Locator = visitor.page.locator(".box")
        self.tokens = self.root.locator(".pane.tokens .heat .t")
        self.waterfall = self.root.locator(".pane.tokens .waterfall")

    def open(self) -> "Box":
        """On the last reply."""
        self.page.get_by_role("button", name=re.compile("^(Glass box|玻璃盒)$")).last.click()
        expect(self.tokens.first).to_be_visible(timeout=WAIT_MS)
        return self

    def tab(self, name: str) -> Locator:
        """Open a part; its pane."""
        self.root.get_by_role("tab", name=name).click()
        pane = self.root.locator(".pane:visible")
        expect(pane).to_be_visible(timeout=WAIT_MS)
        return pane

    def look_at(self, place: int) -> None:
        """See how a token was chosen."""
        self.tokens.nth(place).click()
        expect(self.waterfall.locator("h3")).to_contain_text(f"Token {place + 1}", timeout=WAIT_MS)

    def names(self) -> list[str]:
        """The tokens as they are written."""
        return self.tokens.all_inner_texts()


def answered(visitor: Visitor, question: str = QUESTION, tokens: int = 24) -> Box:
    """A short reply, and the glass box on it; the same one every time."""
    visitor.open_more()
    visitor.seed.fill("3")
    visitor.seed.press("Enter")
    visitor.limit(tokens)
    visitor.ask(question)
    visitor.ends()
    return Box(visitor).open()


def test_every_token_shows_how_it_was_chosen(site: WebServer, arrive: Arrive) -> None:
    visitor = arrive(site)
    box = answered(visitor, "Say <|im_end|> twice.")
    expect(box.tokens).to_have_count(24)
    box.look_at(3)
    heads = box.waterfall.locator("thead .stage").all_inner_texts()
    names = [re.sub(r" [\d.]+$", "", head.replace("\n", " ")) for head in heads]
    assert names == ["raw", "repetition penalty", "temperature", "top p", "softmax"]
    chosen = box.waterfall.locator("tbody tr.chosen")
    expect(chosen).to_have_count(1)
    assert float(chosen.locator(".final").inner_text().strip("%")) > 0
    expect(box.waterfall.locator(".u-label")).to_have_text(re.compile(r"u = 0\.\d{4}"))
    box.waterfall.get_by_role("button", name=re.compile("^top p")).click()
    expect(box.waterfall.locator(".lesson")).to_contain_text("Holtzman")
    # The other colours, and the keyboard.
    box.root.get_by_role("radio", name="surprise").click()
    box.tokens.nth(3).click()
    box.root.locator(".pane.tokens .heat").focus()
    box.page.keyboard.press("ArrowRight")
    expect(box.waterfall.locator("h3")).to_contain_text("Token 5")
    visitor.picture("glass-box")
    # The prompt shows what stayed text.
    pane = box.tab("Prompt")
    expect(pane.locator(".stayed")).to_contain_text("<|im_end|>")
    stayed = "".join(pane.locator(".t.text-piece").all_inner_texts())
    assert stayed.replace("\u200b·", "").replace("·", "") == "<|im_end|>"
    expect(pane.locator(".t.user").first).to_be_visible()
    expect(pane.locator(".t.template").first).to_contain_text("<|im_start|>")
    steps = box.tab("How it works")
    expect(steps.locator("section")).to_have_count(7, timeout=WAIT_MS)
    visitor.picture("glass-box-how-it-works")
    assert visitor.complaints == []


def test_what_if_tells_the_truth_and_nothing_is_lost(site: WebServer, arrive: Arrive) -> None:
    """The first token that other settings would have chosen is the one that they choose."""
    visitor = arrive(site)
    box = answered(visitor)
    pane = box.tab("What if")
    pane.get_by_role("spinbutton", name="Temperature", exact=True).fill("0")
    first = pane.locator(".t.first")
    expect(first).to_have_count(1, timeout=WAIT_MS)
    said = pane.locator(".story li").first.inner_text()
    found = re.search(r"At token (\d+) .* another way: “(.*)” \(", said, re.DOTALL)
    assert found, said
    place = int(found[1]) - 1
    expect(pane.locator(".story")).to_contain_text("This is exact")
    visitor.picture("glass-box-what-if")
    pane.get_by_role("button", name="Go on from here with these settings").click()
    expect(visitor.page.get_by_text("2/2")).to_be_visible(timeout=WAIT_MS)
    visitor.ends()
    box.tab("Tokens")
    expect(box.tokens.nth(place)).to_be_visible(timeout=WAIT_MS)
    name = box.names()[place].replace("\u200b·", " ").replace("⏎\n", "\n")
    assert name == found[2]
    pane = box.tab("Settings")
    expect(pane.locator(".story li").first).to_contain_text("changed", timeout=WAIT_MS)
    # Another token is taken.
    box.tab("Tokens")
    before = box.names()
    box.look_at(2)
    other = box.waterfall.locator("tbody tr:not(.chosen)").first
    name = other.locator("th code").inner_text()
    other.hover()
    other.get_by_role("button", name=re.compile("^take")).click()
    expect(visitor.page.get_by_text("3/3")).to_be_visible(timeout=WAIT_MS)
    visitor.ends()
    expect(box.tokens.nth(2)).to_have_class(re.compile("forced"), timeout=WAIT_MS)
    after = box.names()
    assert after[:2] == before[:2]
    assert after[2].replace("\u200b", "") == name
    visitor.page.get_by_role("button", name="Previous version").click()
    expect(visitor.page.get_by_text("2/3")).to_be_visible()


def test_the_debugger_stops_before_the_choice(site: WebServer, arrive: Arrive) -> None:
    visitor = arrive(site)
    box = answered(visitor)
    pane = box.tab("Debugger")
    pane.get_by_role("button", name="Again, paused at the first token").click()
    pane = box.root.locator(".pane.debugger:visible")
    coming = pane.locator(".coming tbody tr")
    expect(coming.first).to_be_visible(timeout=WAIT_MS)
    expect(visitor.line).to_contain_text("paused")
    expect(pane.locator(".coming .story")).to_contain_text("will fall on")
    name = coming.nth(1).locator("th code").inner_text()
    coming.nth(1).hover()
    coming.nth(1).get_by_role("button", name=re.compile("^take")).click()
    expect(pane.locator(".coming h3")).to_contain_text("Token 2", timeout=WAIT_MS)
    pane.get_by_role("button", name="Step", exact=True).click()
    expect(pane.locator(".coming h3")).to_contain_text("Token 3", timeout=WAIT_MS)
    visitor.picture("glass-box-debugger")
    pane.get_by_role("button", name="+ entropy above, bits").click()
    pane.get_by_role("spinbutton", name="entropy above, bits").fill("0")
    pane.get_by_role("button", name="Run to breakpoint").click()
    expect(pane.locator(".status")).to_contain_text("the entropy is above 0 bits", timeout=WAIT_MS)
    pane.get_by_role("button", name="Run on").click()
    visitor.ends()
    expect(pane.locator(".status")).to_contain_text("ended", timeout=WAIT_MS)
    box.tab("Tokens")
    expect(box.tokens.first).to_have_class(re.compile("forced"))
    assert box.names()[0].replace("\u200b", "") == name
    # Settings are compared side by side.
    pane = box.tab("Compare")
    pane.get_by_role("button", name="Ask all at once").click()
    pane = box.root.locator(".pane.compare:visible")
    expect(pane.locator(".columns section")).to_have_count(2, timeout=WAIT_MS)
    expect(pane.locator("h3", has_text="How likely each was")).to_be_visible(timeout=WAIT_MS)
    cells = pane.locator(".pane table td, table td").all_inner_texts()
    assert any("bits a token" in cell for cell in cells)
    visitor.picture("glass-box-compare")


HOSTILE = [
    "<img src=x onerror=document.title='hit'>", "<script>document.title='hit'</script>",
    "\u202egnp.exe", "\x00", [0xE4, 0xB8], "</span>", "javascript:alert(1)", "\n", " ", "",
]  # fmt: skip


def test_hostile_tokens_stay_text(site: WebServer, arrive: Arrive) -> None:
    visitor = arrive(site)

    def hostile(route: object) -> None:
        try:
            answer = route.fetch()  # type: ignore[attr-defined]
            found = answer.json()
        except Error:  # the page asked, and went on without the answer
            return
        if found.get("tokens"):
            found["tokens"] = [HOSTILE[at % len(HOSTILE)] for at in range(len(found["tokens"]))]
        if found.get("candidates"):
            for at, candidate in enumerate(found["candidates"]):
                candidate["token"] = HOSTILE[at % len(HOSTILE)]
        route.fulfill(response=answer, body=json.dumps(found))  # type: ignore[attr-defined]

    visitor.page.route(re.compile("/glass/box/[^/]+/(tokens|waterfall|prompt)"), hostile)
    box = answered(visitor)
    box.look_at(1)
    names = box.names()
    assert names[0].replace("\u200b·", " ") == HOSTILE[0]
    assert "⟨U+202E⟩gnp.exe" in names
    assert "␀" in names
    assert "⟨E4 B8⟩" in names
    expect(box.waterfall.locator("tbody")).to_contain_text("<script>")
    box.tab("Prompt")
    assert "hit" not in visitor.page.title()
    assert visitor.page.locator(".box img, .box script").count() == 0
    assert visitor.complaints == []


def test_on_a_phone_in_chinese(site: WebServer, arrive: Arrive) -> None:
    visitor = arrive(
        site,
        viewport={"width": 375, "height": 812},
        color_scheme="dark",
        locale="zh-CN",
    )
    visitor.ask("天空为什么是蓝色的？")
    # Not the cursor alone, and more than a token.
    visitor.sees(re.compile(r"(?:[^\s▌]\s*){20}"))
    visitor.leave()
    expect(visitor.stop).to_have_count(0, timeout=WAIT_MS)
    visitor.settles()
    visitor.page.get_by_role("button", name="更多").last.click()
    box = Box(visitor).open()
    box.tokens.nth(1).click()
    expect(box.waterfall.locator("tbody tr").first).to_be_visible(timeout=WAIT_MS)
    width = visitor.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 375
    visitor.picture("glass-box-phone-dark")
    box.root.get_by_role("button", name="关闭玻璃盒").click()
    expect(box.root).to_have_count(0)


@pytest.mark.slow
def test_models_are_compared_and_read_each_other(
    arrive: Arrive, smollm2_folder_bf16: Path, tmp_path: Path
) -> None:
    more = ("--also", str(smollm2_folder_bf16), "--context", "1024", "--slots", "2")
    with serving(*more, folder=tmp_path) as both:
        visitor = arrive(both)
        box = answered(visitor, tokens=16)
        pane = box.tab("Compare")
        models = pane.get_by_role("combobox", name="Model")
        expect(models).to_have_count(2, timeout=WAIT_MS)
        assert models.nth(0).input_value() != models.nth(1).input_value()
        pane.get_by_role("button", name="Ask all at once").click()
        pane = box.root.locator(".pane.compare:visible")
        reads = pane.get_by_role("button", name=re.compile("^Have each model read"))
        expect(reads).to_be_visible(timeout=WAIT_MS)
        expect(pane.locator(".columns section")).to_have_count(2)
        reads.click()
        cells = pane.locator("table tbody td")
        for number in range(4):
            expect(cells.nth(number)).to_contain_text("bits a token", timeout=WAIT_MS)
        visitor.picture("glass-box-models")
        assert visitor.complaints == []
