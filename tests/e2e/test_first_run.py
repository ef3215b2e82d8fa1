"""From a page that is up to an answer that can be read and taken along."""

import re

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
    assert someone.complaints == []
    expect(someone.page.get_by_text("Deploy")).to_have_count(0)
    assert (
        someone.page.title() == "What is the capital of France? Answer in one English… · glasschat"
    )
    expect(someone.page.get_by_role("heading", name="SmolLM2-135M-Instruct")).to_be_visible()


RICH = """Some **bold** text, $5 and $10, and a formula: \\(x^2\\).

```python
def area(r):
    return 3.14 * r
```

\\[ e = mc^2 \\]

| a | b |
|---|---|
| 1 | 2 |
"""


def test_markdown_code_formula_and_table_are_drawn(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script, permissions=["clipboard-read", "clipboard-write"])
    someone.ask(RICH)
    someone.ends()
    reply = someone.reply
    expect(reply.locator("strong")).to_have_text("bold")
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
    # The policy that forbids strangers' pictures forbids nothing that the page itself needs.
    assert someone.complaints == []


def test_copy_takes_the_text_as_the_model_wrote_it(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script, permissions=["clipboard-read", "clipboard-write"])
    someone.ask("**raw** `text` for $5, :smile:")
    someone.ends()
    someone.page.get_by_role("button", name="Copy", exact=True).last.click()
    expect(someone.page.get_by_text("Copied")).to_be_visible()
    assert clipboard(someone) == "**raw** `text` for $5, :smile:"


def clipboard(someone: Visitor) -> str:
    text: str = someone.page.evaluate("navigator.clipboard.readText()")
    return text
