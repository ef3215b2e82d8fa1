"""Light, dark and on a phone; pictures of each are kept under artifacts/."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import visitor
from tests.support.browser import WebServer, serving

pytestmark = pytest.mark.browser

WIDE: dict[str, Any] = {"width": 1200, "height": 800}
PHONE: dict[str, Any] = {"width": 390, "height": 844}
TEXT = """Binary search halves the range at each step:

1. Look at the **middle** of the list.
2. Go on in the half that can hold the value.

```python
def find(values: list[int], wanted: int) -> int | None:
    low, high = 0, len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] == wanted:
            return middle
        low, high = (middle + 1, high) if values[middle] < wanted else (low, middle - 1)
```

| list | steps |
|---:|---:|
| 1,000 | 10 |
| 1,000,000 | 20 |

It takes $O(\\log n)$ steps, and
`averyveryveryveryveryveryveryveryverylongnamewithoutanyspace` fits.
"""


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "dark"), (PHONE, "light")], ids=["wide", "phone"]
)
def test_the_page_fits_and_follows_the_colours(
    arrive: Arrive, script: WebServer, scheme: str, size: dict[str, int]
) -> None:
    someone = arrive(script, viewport=size, color_scheme=scheme, has_touch=size is PHONE)
    someone.ask(TEXT)
    someone.ends()
    someone.page.wait_for_timeout(500)
    someone.picture(f"{scheme}-{size['width']}")
    assert someone.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    wide = """() => [...document.querySelectorAll('main *, [role="main"] *')]
      .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, .katex'))
      .map(e => e.outerHTML.slice(0, 80))"""
    assert someone.page.evaluate(wide) == []
    colour = "getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g)[0]"
    assert (int(someone.page.evaluate(colour)) < 128) == (scheme == "dark")
    tools = someone.page.locator('[class*="st-key-tools_"]').last.bounding_box()
    assert tools is not None
    assert tools["height"] < 110


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGTERM, id="SIGTERM"),
        pytest.param(signal.SIGINT, id="Ctrl-C", marks=pytest.mark.slow),
    ],
)
def test_the_server_ends_at_once_though_a_page_is_open(
    browser: Browser, tmp_path: Path, how: signal.Signals
) -> None:
    with (
        serving("--context", "512", folder=tmp_path) as server,
        visitor(browser, server) as someone,
    ):
        someone.ask("Write a long story.")
        expect(someone.stop).to_be_visible()
        sent = time.monotonic()
        server.process.send_signal(how)
        code = server.process.wait(20)
        took = time.monotonic() - sent
        print(f"ended after {took:.1f} s with {code}")
        assert took < 8
        assert code in (0, -how, 128 + how)
        assert "Traceback" not in server.log
