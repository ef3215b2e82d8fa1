"""Conversations that one lives in: found again, branched, taken along, never lost."""

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from glasschat.chat import Ending, Run, SavedConversation, Tree
from glasschat.chat.store import LOCAL_OWNER, open_store
from glasschat.sampling import SamplingParams
from tests.e2e.conftest import Arrive
from tests.e2e.panel import Tuner
from tests.e2e.visitor import WAIT_MS, Visitor, scripted_site, visitor
from tests.support.browser import WebServer, serving

pytestmark = pytest.mark.browser

LONG = "slowly: " + "the quick brown fox jumps over the lazy dog. " * 40


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A scripted server that keeps its conversations."""
    folder = tmp_path_factory.mktemp("kept")
    with scripted_site("--store", str(folder / "kept.db"), "--slots", "3", folder=folder) as server:
        yield server


def asks(someone: Visitor, text: str) -> None:
    someone.ask(text)
    someone.sees(text)
    someone.ends()


def row(someone: Visitor, title: str) -> Locator:
    return someone.page.locator('[class*="chat_row_"]').filter(has_text=title)


def choose(someone: Visitor, title: str, what: str) -> None:
    row(someone, title).hover()
    row(someone, title).locator('[class*="st-key-menu_"] button').click()
    someone.page.get_by_role("menuitem", name=what).or_(
        someone.page.get_by_role("option", name=what)
    ).first.click()


def versions(someone: Visitor) -> Locator:
    return someone.chat.locator(".siblings .place").last


def step(someone: Visitor, name: str) -> None:
    someone.chat.get_by_role("button", name=name).last.click()


def test_a_chat_is_renamed_pinned_deleted_and_had_back(arrive: Arrive, kept: WebServer) -> None:
    someone = arrive(kept)
    asks(someone, "a name to be changed")
    choose(someone, "a name to be changed", "Rename")
    title = someone.page.get_by_role("textbox", name="Title")
    title.fill("**My** <b>title</b>")
    title.press("Enter")
    expect(row(someone, "**My** <b>title</b>")).to_be_visible()
    choose(someone, "**My**", "Pin")
    expect(someone.page.locator(".st-key-chats").get_by_text("Pinned")).to_be_visible()
    expect(someone.page.locator('[class*="chat_row_"]').first).to_contain_text("**My**")
    choose(someone, "**My**", "Delete")
    expect(row(someone, "**My**")).to_have_count(0)
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()
    someone.page.get_by_role("button", name="Undo").click()
    expect(row(someone, "**My**")).to_be_visible()
    someone.sees("a name to be changed")
    choose(someone, "**My**", "Unpin")


def test_a_stopped_reply_goes_on_where_it_was(arrive: Arrive, kept: WebServer) -> None:
    someone = arrive(kept)
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


def test_a_branch_is_deleted_after_asking_and_can_be_had_back(
    arrive: Arrive, kept: WebServer
) -> None:
    someone = arrive(kept)
    for text in ("to be kept", "to be deleted"):
        asks(someone, text)
    someone.chat.get_by_text("to be deleted").first.hover()
    delete = someone.chat.get_by_role("button", name="Delete")
    delete.nth(2).click()
    dialog = someone.page.get_by_role("dialog")
    expect(dialog.get_by_text("1 turn below it goes with it.")).to_be_visible()
    someone.picture("delete")
    dialog.get_by_role("button", name="Keep").click()
    expect(someone.chat.get_by_text("to be deleted").first).to_be_visible()
    delete.nth(2).click()
    someone.page.locator(".st-key-delete_yes button").click()
    expect(someone.chat.get_by_text("to be deleted")).to_have_count(0)
    someone.page.get_by_role("button", name="Undo").click()
    expect(someone.chat.get_by_text("to be deleted").first).to_be_visible()


def test_a_reply_outlives_its_page_and_is_watched_elsewhere(
    browser: Browser, arrive: Arrive, kept: WebServer
) -> None:
    with visitor(browser, kept) as someone:
        someone.ask(LONG)
        someone.sees("the quick")
        address = someone.page.url
        someone.page.close()
    other = arrive(kept)
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


def test_export_and_import_are_inverse(arrive: Arrive, kept: WebServer, tmp_path: Path) -> None:
    someone = arrive(kept)
    asks(someone, "take me along")
    someone.again.click()
    expect(versions(someone)).to_have_text("2/2")
    someone.ends()
    choose(someone, "take me along", "Export")
    files = {}
    for kind in ("markdown", "json"):
        with someone.page.expect_download() as download:
            someone.page.locator(f".st-key-export_{kind} button").click()
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    someone.picture("export")
    assert files["markdown"].name == "take-me-along.md"
    assert "## You\n\ntake me along" in files["markdown"].read_text()
    exported = json.loads(files["json"].read_text())
    assert len(exported["conversations"][0]["turns"]) == 3
    someone.page.keyboard.press("Escape")
    choose(someone, "take me along", "Delete")
    someone.page.get_by_role("button", name="upload").click()
    someone.page.locator('[role="dialog"] input[type="file"]').set_input_files(files["json"])
    expect(someone.page.get_by_text("1 chat was imported.")).to_be_visible()
    someone.picture("import")
    someone.page.locator(".st-key-import_done button").click()
    row(someone, "take me along").get_by_role("button").first.click()
    expect(versions(someone)).to_have_text("2/2")


def test_a_file_that_is_no_chat_is_refused_with_a_reason(
    arrive: Arrive, kept: WebServer, tmp_path: Path
) -> None:
    someone = arrive(kept)
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"not": "a chat"}')
    someone.page.get_by_role("button", name="upload").click()
    someone.page.locator('[role="dialog"] input[type="file"]').set_input_files(wrong)
    expect(someone.page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        "no chats that are known here"
    )


def test_the_keyboard_does_what_its_help_says(arrive: Arrive, kept: WebServer) -> None:
    someone = arrive(kept)
    asks(someone, "by keyboard")
    keyboard = someone.page.keyboard
    someone.input.focus()
    keyboard.press("Alt+KeyR")
    expect(versions(someone)).to_have_text("2/2")
    someone.ends()
    keyboard.press("Alt+BracketLeft")
    expect(versions(someone)).to_have_text("1/2")
    keyboard.press("Alt+BracketRight")
    expect(versions(someone)).to_have_text("2/2")
    keyboard.press("Alt+KeyE")
    expect(someone.page.locator(".st-key-editor textarea")).to_have_value("by keyboard")
    someone.page.locator(".st-key-edit_cancel button").click()
    keyboard.press("Alt+KeyK")
    expect(someone.page.locator(".st-key-search input")).to_be_focused()
    keyboard.press("Alt+Slash")
    dialog = someone.page.get_by_role("dialog")
    expect(dialog.get_by_text("Answer the last question anew")).to_be_visible()
    someone.picture("keyboard")
    keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    keyboard.press("Alt+KeyN")
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()


def test_a_full_context_leaves_out_the_oldest_and_shows_it(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        scripted_site("--context", "512", folder=tmp_path) as server,
        visitor(browser, server) as someone,
    ):
        for number in range(3):
            asks(someone, f"{number} " + "x" * 60)
        meter = someone.page.locator(".meter")
        expect(meter).to_contain_text(re.compile(r"\d+ of 512 tokens"))
        someone.ask("refused " + "y" * 120)
        expect(someone.notice).to_contain_text("shorten it by")
        tuner = Tuner(someone.page)
        tuner.unfold()
        tuner.pick("context_policy", "Leave out the oldest turns")
        someone.ask("taken " + "y" * 120)
        someone.sees("taken")
        someone.ends()
        grey = someone.chat.locator('[class*="st-key-unread_"]')
        expect(grey.first).to_contain_text("0 xxx")
        expect(someone.page.locator(".st-key-left_out_line")).to_contain_text("does not read")
        assert float(grey.first.evaluate("e => getComputedStyle(e).opacity")) < 0.6
        someone.picture("left-out")


def test_after_a_kill_the_reply_is_there_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    store = str(tmp_path / "kept.db")
    with (
        scripted_site("--store", store, folder=tmp_path) as server,
        visitor(browser, server) as someone,
    ):
        someone.ask("slowly: one two three four five six seven eight nine")
        someone.sees("one two three four")
        address = someone.page.url.removeprefix(server.url)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with (
        scripted_site("--store", store, folder=tmp_path) as server,
        visitor(browser, server) as someone,
    ):
        someone.page.goto(server.url + address)
        someone.sees("one two")
        expect(someone.page.get_by_text("The server ended while this was written.")).to_be_visible()
        someone.picture("interrupted")
        someone.chat.get_by_role("button", name="Go on").click()
        someone.sees("eight nine")
        someone.ends()
        assert someone.reply.inner_text().strip() == (
            "one two three four five six seven eight nine"
        )


def test_without_a_store_the_chat_goes_on_and_says_so(browser: Browser, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(b"this is no database at all, it is a text" * 200)
    with (
        serving("--context", "512", "--store", str(wrong), folder=tmp_path) as server,
        visitor(browser, server) as someone,
    ):
        expect(someone.notice).to_contain_text("This chat is not being kept")
        someone.picture("unsaved")
        someone.open_more()
        someone.limit(3)
        someone.ask("hello")
        someone.ends()
        assert "not being kept" in server.log
        assert "Traceback" not in server.log
    assert wrong.read_bytes().startswith(b"this is no database")


def test_a_very_long_chat_opens_with_its_recent_part(browser: Browser, tmp_path: Path) -> None:
    """A thousand turns cost the page less than a megabyte; the rest comes on demand."""
    path = tmp_path / "kept.db"
    tree = Tree()
    for number in range(500):
        tree = tree.ask(f"q{number}", f"Question {number}? " + "Words to fill it. " * 20)
        run = Run(SamplingParams(), ending=Ending.STOP)
        text = f"Answer {number}. " + "More **words** in a `reply`. " * 25
        tree = tree.reply(f"q{number}", f"a{number}", Run(SamplingParams()))
        tree = tree.put(replace(tree[f"a{number}"], text=text, runs=(run,)))
    store = open_store(path)
    store.add(LOCAL_OWNER, SavedConversation(id="long", title="Long", tree=tree))
    store.close()
    with (
        scripted_site("--store", str(path), "--context", "100000", folder=tmp_path) as server,
        visitor(browser, server) as someone,
    ):
        received: list[int] = []
        someone.page.on(
            "websocket",
            lambda ws: ws.on("framereceived", lambda frame: received.append(len(frame))),
        )
        began = time.monotonic()
        someone.page.goto(f"{server.url}/?chat=long")
        someone.sees("Answer 499.")
        expect(someone.reply).to_be_in_viewport()
        print(f"opened after {time.monotonic() - began:.2f} s, {sum(received):,} bytes")
        assert sum(received) < 1_000_000
        expect(someone.chat.get_by_text("Answer 100.")).to_have_count(0)
        earlier = someone.page.get_by_role("button", name="970 earlier turns")
        someone.settles()
        earlier.click()
        expect(someone.chat.get_by_text("Answer 460.")).to_have_count(1, timeout=WAIT_MS)


PHONE = {"width": 375, "height": 740}


def test_on_a_phone_a_thumb_does_it_all(arrive: Arrive, kept: WebServer) -> None:
    someone = arrive(kept, viewport=PHONE, has_touch=True)
    asks(someone, "from a phone")
    expect(someone.chat.get_by_role("button", name="Delete").last).to_be_hidden()
    someone.chat.get_by_role("button", name="More").last.tap()
    expect(someone.chat.get_by_role("button", name="Delete").last).to_be_visible()
    box = someone.again.bounding_box()
    assert box is not None
    assert box["height"] >= 32
    someone.picture("phone-chat")
    someone.page.locator('[data-testid="stExpandSidebarButton"]').click()
    expect(row(someone, "from a phone")).to_be_visible()
    someone.page.wait_for_timeout(400)
    someone.picture("phone-list")
    assert someone.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_in_chinese_all_of_it_works_too(arrive: Arrive, kept: WebServer) -> None:
    someone = arrive(kept, locale="zh-CN")
    asks(someone, "天空为什么是蓝色的")
    someone.picture("chinese")
    chat = (
        someone.chat.inner_text() + someone.page.locator('[data-testid="stSidebar"]').inner_text()
    )
    for english in ("Copy", "Again", "Delete", "New chat", "tokens/s", "Today", "More", "Clear"):
        assert english not in chat, f"{english!r} in {chat!r}"
