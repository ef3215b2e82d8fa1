"""A reply on its way belongs to the engine: no click, change or reload on the page loses any."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import Visitor, scripted_site, visitor
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser

LONG = "slowly: " + "the quick brown fox jumps over the lazy dog. " * 40
STORY = "Write a long story about a lighthouse keeper and the sea."


def begins_a_story(someone: Visitor) -> None:
    someone.ask(STORY)
    someone.sees(re.compile(r"\w+ \w+ \w+ \w+"))
    expect(someone.stop).to_be_visible()


@pytest.mark.parametrize("by", ["button", "escape"])
def test_stop_keeps_what_is_there(arrive: Arrive, site: WebServer, by: str) -> None:
    someone = arrive(site)
    begins_a_story(someone)
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


def test_after_stop_the_engine_serves_the_next(arrive: Arrive, script: WebServer) -> None:
    """There is one slot: had the reply gone on, this question would wait for a minute."""
    someone = arrive(script)
    someone.ask(LONG)
    someone.sees("the quick")
    someone.stop.click()
    someone.ends()
    someone.ask("and now this")
    someone.sees("and now this")
    assert "stopped" not in someone.ends()


def test_again_answers_the_same_question_anew(arrive: Arrive, site: WebServer) -> None:
    someone = arrive(site)
    begins_a_story(someone)
    someone.stop.click()
    someone.ends()
    someone.open_more()
    someone.limit(12)
    someone.again.click()
    # The reply that was stopped may have come to twelve tokens by itself.
    expect(someone.line).to_contain_text("ended at the length limit", timeout=60_000)
    assert "12 tokens ·" in someone.ends()
    expect(someone.chat.get_by_text(STORY)).to_have_count(1)


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


def test_clear_empties_the_chat_even_in_mid_stream(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    someone.ask(LONG)
    someone.sees("the quick")
    someone.page.get_by_role("button", name="Clear Chat History").click()
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()
    expect(someone.chat.get_by_text("the quick")).to_have_count(0)
    someone.ask("the slot is free")
    someone.sees("the slot is free")
    someone.ends()


def test_a_slider_moved_in_mid_stream_changes_only_the_next_reply(
    arrive: Arrive, script: WebServer
) -> None:
    someone = arrive(script)
    someone.ask("slowly: " + "one two three four five six seven eight. " * 2)
    someone.sees("one two")
    someone.slide("Max Length", "Home")
    someone.open_more()
    figures = someone.ends()
    assert (
        someone.reply.inner_text().strip() == ("one two three four five six seven eight. " * 2)[:-1]
    )
    assert "length limit" not in figures
    someone.ask("hello")
    expect(someone.notice).to_contain_text("max length 8")


def test_a_reload_in_mid_stream_finds_the_reply_again(arrive: Arrive, site: WebServer) -> None:
    someone = arrive(site)
    someone.slide("Temperature", "Home")
    begins_a_story(someone)
    before = someone.reply.inner_text().rstrip("▌ ")[:15]
    assert "chat=" in someone.page.url
    someone.page.reload(wait_until="domcontentloaded")
    someone.sees(before)
    expect(someone.stop).to_be_visible()
    # The settings of the chat come back with it.
    expect(someone.page.get_by_role("slider", name="Temperature")).to_have_value("0")
    someone.stop.click()
    assert "stopped" in someone.ends()


def test_a_message_sent_while_a_reply_runs_is_given_back(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    someone.ask(LONG)
    someone.sees("the quick")
    someone.ask("my next question")
    expect(someone.notice).to_contain_text("stop it or wait for its end")
    expect(someone.input).to_have_value("my next question")
    someone.sees("jumps")
    someone.stop.click()
    someone.ends()
    expect(someone.input).to_have_value("my next question")


def test_waiting_visitors_see_their_place_and_then_the_prompt_being_read(
    browser: Browser, arrive: Arrive, script: WebServer
) -> None:
    first, second, third, fourth = (arrive(script) for _ in range(4))
    first.ask(LONG)
    first.sees("the quick")
    second.ask("x" * 1500)
    expect(second.line).to_have_text("● next in the queue")
    third.ask("y" * 20)
    expect(third.line).to_have_text("● 2nd in the queue")
    third.picture("queue")
    fourth.ask("z")
    expect(fourth.notice).to_contain_text("at most 2 may: try again in a moment")
    expect(fourth.input).to_have_value("z")
    first.stop.click()
    expect(second.line).to_contain_text(re.compile(r"reading the prompt \d+% of 1,5\d\d tokens"))
    expect(third.line).to_have_text("● next in the queue")
    second.sees("xxx")
    second.ends()
    third.sees("y" * 20)


def test_by_choice_a_closed_tab_frees_the_engine(browser: Browser, tmp_path: Path) -> None:
    with (
        scripted_site(folder=tmp_path) as server,
        visitor(browser, server) as waiting,
        visitor(browser, server) as leaving,
    ):
        leaving.open_more()
        leaving.switch_on("stop_unwatched")
        leaving.ask(LONG)
        leaving.sees("the quick")
        waiting.ask("is it free")
        expect(waiting.line).to_contain_text("next in the queue")
        leaving.page.close()
        closed = time.monotonic()
        waiting.sees("is it free")
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
