"""Conversations that one lives in: found again, branched, taken along, never lost."""

import json
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.conftest import Arrive
from tests.e2e.visitor import Visitor, scripted_site, visitor
from tests.support.browser import WebServer, serving

pytestmark = pytest.mark.browser


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


def test_turns_are_edited_deleted_and_had_back(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
    for text in ("teh question", "to be deleted"):
        asks(someone, text)
    # A branch is deleted after asking, and can be had back.
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
    # A question is asked in other words, and the old one kept.
    someone.chat.get_by_text("teh question").first.hover()
    someone.chat.get_by_role("button", name="Edit").first.click()
    box = someone.page.locator(".st-key-editor textarea")
    expect(box).to_have_value("teh question")
    someone.picture("edit")
    box.fill("the question")
    someone.page.locator(".st-key-edit_send button").click()
    someone.sees("the question")
    someone.ends()
    expect(someone.chat.get_by_text("teh question")).to_have_count(0)
    someone.chat.get_by_text("the question").first.hover()
    someone.chat.get_by_role("button", name="Previous version").first.click()
    expect(someone.chat.get_by_text("teh question").first).to_be_visible()
    assert someone.complaints == []


def test_a_chat_is_renamed_exported_deleted_and_imported(
    arrive: Arrive, script: WebServer, tmp_path: Path
) -> None:
    someone = arrive(script)
    asks(someone, "a name to be changed")
    someone.again.click()
    expect(versions(someone)).to_have_text("2/2")
    someone.ends()
    choose(someone, "a name to be changed", "Rename")
    title = someone.page.get_by_role("textbox", name="Title")
    title.fill("**My** <b>title</b>")
    title.press("Enter")
    expect(row(someone, "**My** <b>title</b>")).to_be_visible()
    choose(someone, "**My**", "Pin")
    expect(someone.page.locator(".st-key-chats").get_by_text("Pinned")).to_be_visible()
    expect(someone.page.locator('[class*="chat_row_"]').first).to_contain_text("**My**")
    someone.picture("list")

    choose(someone, "**My**", "Export")
    files = {}
    for kind in ("markdown", "json"):
        with someone.page.expect_download() as download:
            someone.page.locator(f".st-key-export_{kind} button").click()
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    someone.picture("export")
    assert files["markdown"].name == "My-b-title-b.md"
    assert "## You\n\na name to be changed" in files["markdown"].read_text()
    exported = json.loads(files["json"].read_text())
    assert len(exported["conversations"][0]["turns"]) == 3
    someone.page.keyboard.press("Escape")

    choose(someone, "**My**", "Delete")
    expect(row(someone, "**My**")).to_have_count(0)
    expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()
    someone.page.get_by_role("button", name="Undo").click()
    expect(row(someone, "**My**")).to_be_visible()
    someone.sees("a name to be changed")
    choose(someone, "**My**", "Delete")
    expect(row(someone, "**My**")).to_have_count(0)

    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"not": "a chat"}')
    someone.page.get_by_role("button", name="upload").click()
    upload = someone.page.locator('[role="dialog"] input[type="file"]')
    upload.set_input_files(wrong)
    expect(someone.page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        "no chats that are known here"
    )
    someone.page.keyboard.press("Escape")
    someone.page.get_by_role("button", name="upload").click()
    upload.set_input_files(files["json"])
    expect(someone.page.get_by_text("1 chat was imported.")).to_be_visible()
    someone.picture("import")
    someone.page.locator(".st-key-import_done button").click()
    row(someone, "**My**").get_by_role("button").first.click()
    expect(versions(someone)).to_have_text("2/2")


def test_the_keyboard_does_what_its_help_says(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script)
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


@pytest.mark.slow
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


@pytest.mark.slow
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


PHONE = {"width": 375, "height": 740}


def test_on_a_phone_a_thumb_does_it_all(arrive: Arrive, script: WebServer) -> None:
    someone = arrive(script, viewport=PHONE, has_touch=True)
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
