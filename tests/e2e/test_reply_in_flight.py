"""A reply on its way belongs to the engine: no click, change or reload on the page loses any."""

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import WAIT_MS, Visitor, visitor
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser

LONG = "slowly: " + "the quick brown fox jumps over the lazy dog. " * 40
STORY = "Write a long story about a lighthouse keeper and the sea."


def begins_a_story(someone: Visitor) -> None:
    someone.sees(re.compile(r"\w+ \w+ \w+ \w+"))
    expect(someone.stop).to_be_visible()


def test_stop_and_reload_keep_what_is_there(arrive: Arrive, site: WebServer) -> None:
    """On the real model: a reload in mid-stream, Stop by the keyboard, Again, Stop by the mouse."""
    someone = arrive(site)
    someone.slide("Temperature", "Home")
    someone.ask(STORY)
    begins_a_story(someone)
    before = someone.reply.inner_text().rstrip("▌ ")[:15]
    assert "chat=" in someone.page.url
    someone.page.reload(wait_until="domcontentloaded")
    someone.sees(before)
    expect(someone.stop).to_be_visible()
    # The settings of the chat come back with it.
    expect(someone.page.get_by_role("slider", name="Temperature")).to_have_value("0")
    for by in ("escape", "button"):
        pressed = time.monotonic()
        if by == "button":
            someone.stop.click()
        else:
            someone.input.focus()
            someone.page.keyboard.press("Escape")
        figures = someone.ends()
        assert time.monotonic() - pressed < 5
        assert figures.endswith("stopped")
        assert len(someone.reply.inner_text()) > 15
        someone.shows_no_cursor()
        if by == "escape":
            someone.again.click()
            # The reply that was stopped stands there until the new one has begun.
            expect(someone.stop).to_be_visible()
            begins_a_story(someone)
    expect(someone.chat.get_by_text(STORY)).to_have_count(1)


def test_nothing_that_is_clicked_in_mid_stream_is_lost(arrive: Arrive, script: WebServer) -> None:
    """There is one slot: had a reply gone on after Stop, the next would wait for a minute."""
    someone = arrive(script)
    text = "one two three four five six seven eight. " * 3
    someone.ask("slowly: " + text)
    someone.sees("one two")
    # What is moved now belongs to the next reply, and a message is given back.
    someone.slide("Max Length", "Home")
    someone.ask("my next question")
    expect(someone.notice).to_contain_text("stop it or wait for its end")
    expect(someone.input).to_have_value("my next question")
    someone.sees("five")
    figures = someone.ends()
    assert someone.reply.inner_text().strip() == text.strip()
    assert "length limit" not in figures
    expect(someone.input).to_have_value("my next question")
    someone.input.press("Enter")
    expect(someone.notice).to_contain_text("max length 8")
    someone.slide("Max Length", "End")
    someone.settles()
    # After Stop the engine serves the next; a reply that was stopped goes on where it was.
    someone.ask("slowly: one two three four five six seven")
    someone.sees("one two")
    someone.stop.click()
    assert "stopped" in someone.ends()
    someone.chat.get_by_role("button", name="Go on").click()
    someone.sees("six seven")
    figures = someone.ends()
    assert someone.reply.inner_text().strip() == "one two three four five six seven"
    assert "stopped" not in figures
    expect(someone.chat.get_by_role("button", name="Go on")).to_have_count(0)
    # Clear empties the chat in mid-stream, too.
    someone.ask(LONG)
    someone.sees("the quick")
    someone.page.get_by_role("button", name="Clear Chat History").click()
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()
    expect(someone.chat.get_by_text("the quick")).to_have_count(0)
    someone.ask("the slot is free")
    someone.sees("the slot is free")
    someone.ends()


def test_an_answer_asked_for_anew_does_not_stand_on_the_old_one(
    arrive: Arrive, script: WebServer
) -> None:
    """Between the click and the new text nothing of the old answer may be read as the new one."""
    someone, other = arrive(script), arrive(script)
    someone.ask("\n\n".join(name + " words" * 60 for name in ("first", "second", "third")))
    someone.sees("third")
    someone.ends()
    other.ask(LONG)
    other.sees("the quick")
    someone.again.click()
    expect(someone.line).to_have_text("● next in the queue")
    expect(someone.reply).to_have_text("")
    expect(someone.again).to_be_hidden()
    tools = someone.chat.locator('[class*="st-key-tools_"]').last
    expect(tools.get_by_role("button", name="Copy", exact=True)).to_have_count(0)
    other.stop.click()
    someone.sees("third")
    someone.ends()
    assert someone.reply.inner_text().count("words") == 180


def test_a_closed_tab_frees_the_engine_by_choice_and_else_the_reply_goes_on(
    browser: Browser, arrive: Arrive, script: WebServer
) -> None:
    with visitor(browser, script) as someone:
        someone.ask(LONG)
        someone.sees("the quick")
        address = someone.page.url
        someone.page.close()
    other = arrive(script)
    other.page.wait_for_timeout(5000)
    other.page.goto(address)
    other.sees("the quick")
    expect(other.stop).to_be_visible()
    before = len(other.reply.inner_text())
    assert before > 50
    other.page.wait_for_function(
        "before => [...document.querySelectorAll('[class*=st-key-said_]')].at(-1).innerText.length"
        " > before + 10",
        arg=before,
    )
    other.stop.click()
    other.ends()
    with visitor(browser, script) as leaving:
        leaving.open_more()
        leaving.switch_on("stop_unwatched")
        leaving.ask(LONG)
        leaving.sees("the quick")
        other.ask("is it free")
        expect(other.line).to_contain_text("next in the queue")
        leaving.page.close()
        closed = time.monotonic()
        other.sees("is it free")
        freed = time.monotonic() - closed
        print(f"freed after {freed:.1f} s")
        assert freed < 8


def test_nothing_moves_when_a_reply_ends(arrive: Arrive, script: WebServer) -> None:
    text = "First a paragraph. " * 20 + "\n\n" + "- a\n- b\n\n" + "And a last one. " * 20
    someone = arrive(script, viewport={"width": 1200, "height": 900})
    someone.ask(f"lingering: {text}\n\n```py\nx = 1\n```\n\nThe end.")
    someone.sees("The end.")
    someone.page.wait_for_timeout(400)
    before = someone.boxes()
    someone.picture("before-the-end")
    someone.ends()
    someone.page.wait_for_timeout(400)
    someone.picture("after-the-end")
    assert someone.boxes() == before


def test_a_very_long_chat_opens_at_its_end(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    someone.page.goto(f"{script.url}/?chat=long")
    someone.sees("Answer 499.")
    expect(someone.reply).to_be_in_viewport()
    expect(someone.chat.get_by_text("Answer 100.")).to_have_count(0)
    earlier = someone.page.get_by_role("button", name="970 earlier turns")
    someone.settles()
    # By the keyboard: on a busy machine a click with the mouse was lost here twice. The button is
    # far above what is seen, and the page may still be scrolling to its end.
    earlier.press("Enter")
    expect(someone.chat.get_by_text("Answer 460.")).to_have_count(1, timeout=WAIT_MS)
