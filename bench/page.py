"""Cost of a page that watches a reply: decode speed, and bytes sent to it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.config import QUESTIONS, BenchConfig
from bench.report import Figure, Report, compare
from bench.server_process import START_S, ServerProcess, run_server
from glasschat.errors import MissingExtra

TOKENS = 1500
LONG_TOKENS = 4000
MOST_BYTES = 500_000
RUNS = 3
HOST = "bench.page_server"
SETTLE_MS = 2000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def measure_page(setting: BenchConfig, report: Report, say: Callable[[str], None]) -> None:
    """Measure decode alone, stored and watched by a browser, in turn; then a long reply's bytes."""
    alone: list[float] = []
    kept: list[float] = []
    watched: list[float] = []
    with _browser() as browser, run_server(setting, HOST) as host:
        for run in range(RUNS):
            say(f"page: run {run + 1} of {RUNS}")
            alone.append(host.ask(f"alone {TOKENS}"))
            kept.append(host.ask(f"kept {TOKENS}"))
            watched.append(_measure_watched(browser, host, TOKENS)[0])
        say(f"page: a reply of {LONG_TOKENS} tokens")
        speed, sent = _measure_watched(browser, host, LONG_TOKENS)
    report.figures.append(
        compare("a page watching, decode", "tokens/s", watched, "nobody", alone, target=0.9)
    )
    report.figures.append(
        compare("kept in the store, decode", "tokens/s", kept, "nobody", alone, target=0.98)
    )
    ratio = MOST_BYTES / sent
    report.figures.append(
        Figure(
            f"{LONG_TOKENS} tokens, sent to the page",
            "bytes",
            sent,
            "the limit",
            MOST_BYTES,
            ratio,
            1.0,
            1,
        )
    )
    report.details["page"] = {
        "alone": alone,
        "kept": kept,
        "watched": watched,
        "long": {"tokens_per_s": speed, "bytes": sent},
    }


def _measure_watched(browser: Any, host: ServerProcess, tokens: int) -> tuple[float, int]:
    """Ask for a reply on a page; return its decode speed in tokens/s and the bytes received."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    try:
        page = context.new_page()
        received = 0

        def count(frame: str | bytes) -> None:
            nonlocal received
            received += len(frame)

        page.on("websocket", lambda ws: ws.on("framereceived", count))
        # The text of a growing reply comes by an event stream.
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on(
            "Network.eventSourceMessageReceived",
            lambda event: count(f"event: {event['eventName']}\ndata: {event['data']}\n\n"),
        )
        # Once before, so that scripts and fonts are in the browser's cache.
        for _ in range(2):
            page.goto(host.url)
            page.get_by_placeholder("Hello!").wait_for(timeout=START_S * 1000)
        page.wait_for_timeout(SETTLE_MS)
        received = 0
        host.ask(f"next {tokens}")
        page.get_by_placeholder("Hello!").fill(QUESTIONS[0])
        page.get_by_placeholder("Hello!").press("Enter")
        page.get_by_role("button", name="Again").wait_for(timeout=600_000)
        return host.ask("result"), received
    finally:
        context.close()


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingExtra("playwright is missing: pip install 'glasschat[bench]'") from error
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise MissingExtra("there is no chromium or chrome on the path: install one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
