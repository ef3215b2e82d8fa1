"""The list of conversations: found, opened, renamed, pinned, deleted and had back."""

import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from glasschat.backends import LocalBackend
from glasschat.chat import Library, SavedConversation
from glasschat.chat.store import open_store
from glasschat.chat.user_presets import UserPresets
from glasschat.web.chats import DELETE, EXPORT, PIN, RENAME, UNPIN, heading_for_day
from glasschat.web.site import Site
from tests.support.pages import PageSession
from tests.web.conftest import Visit


@pytest.fixture
def kept(backend: LocalBackend, tmp_path: Path) -> Iterator[Site]:
    """A site that keeps its conversations in a store."""
    library = Library(open_store(tmp_path / "chats.db"))
    yield Site(backend, library, UserPresets(library.store))
    library.close()


def rows(page: PageSession) -> list[str]:
    """The titles in the list."""
    return [page.widget(key).label for key in page.keys if key.startswith("open_")]


def drawn_until(page: PageSession, expected: list[str]) -> None:
    """Draw the page until its rows are these: a reply that has ended is marked a moment longer."""
    for _ in range(40):
        if rows(page) == expected:
            return
        time.sleep(0.05)
        page.run()
    assert rows(page) == expected


def test_a_chat_is_listed_found_and_opened_again(kept: Site, visit: Visit) -> None:
    page = visit(at=kept)
    page.ask("Of cabbages and kings")
    first = page.state["chat"]
    drawn_until(page, ["Of cabbages and kings"])
    assert "Today" in page.text
    assert page.has(f"here_chat_row_{first}"), "the one that is open is marked"
    page.click("new_chat")
    assert "What would you like to know?" in page.text
    assert "chat" not in page.app.query_params
    page.ask("Über die Brücke 天空")
    for words, found in (
        ("kings cabb", "Of cabbages and kings"),
        ("brucke", "Über die Brücke 天空"),
        ("天空", "Über die Brücke 天空"),
    ):
        page.set(search=words)
        drawn_until(page, [found])
    page.set(search="nowhere to be found")
    assert rows(page) == [] and "Nothing found." in page.text
    page.set(search="")
    assert len(rows(page)) == 2
    page.click(f"open_{first}")
    assert page.path == ["Of cabbages and kings"] * 2
    assert page.app.query_params == {"chat": first}


def test_what_was_found_in_another_branch_is_opened_there(kept: Site, visit: Visit) -> None:
    page = visit(at=kept)
    page.ask("a title")
    page.ask("the first words")
    question = page.conversation.tree.path[2].id
    page.act(question, "edit")
    page.widget(f"edited_{question}").set_value("in other words")
    page.click("edit_send")
    assert page.path[2:] == ["in other words"] * 2
    kept.library.look_after()
    page.set(search="first words")
    page.click(f"open_{page.state['chat']}")
    assert page.path[2:] == ["the first words"] * 2


def test_a_chat_is_pinned_deleted_and_had_back(kept: Site, visit: Visit) -> None:
    page = visit(at=kept)
    page.ask("the older one")
    page.click("new_chat")
    page.ask("**My** <b>title</b>")
    chat = page.state["chat"]
    menu = f"menu_{chat}"
    assert page.widget(menu).options == ["Rename", "Pin", "Export", "Delete"]
    older = next(info for info in kept.library.page("local", 9).items if info.id != chat)
    page.choose(f"menu_{older.id}", PIN)
    assert "Pinned" in page.text
    # Titles are no Markdown.
    assert rows(page) == ["the older one", r"\*\*My\*\* \<b\>title\</b\>"]
    page.choose(menu, DELETE)
    assert rows(page) == ["the older one"]
    assert "What would you like to know?" in page.text and "was deleted." in page.text
    page.click("undo_button")
    assert len(rows(page)) == 2
    assert page.path == ["**My** <b>title</b>"] * 2, "and it is open again"
    page.choose(f"menu_{older.id}", UNPIN)
    assert "Pinned" not in page.text


def test_a_chat_that_is_not_open_is_deleted_without_leaving_the_one_that_is(
    kept: Site, visit: Visit
) -> None:
    page = visit(at=kept)
    page.ask("away")
    away = page.state["chat"]
    page.click("new_chat")
    page.ask("stays")
    page.choose(f"menu_{away}", DELETE)
    assert rows(page) == ["stays"] and page.path == ["stays"] * 2
    page.click("undo_close")
    assert not page.has("undo_button")
    assert rows(page) == ["stays"]


def test_the_menu_opens_the_dialogs(visit: Visit) -> None:
    page = visit()
    page.ask("take me along")
    menu = f"menu_{page.state['chat']}"
    page.choose(menu, RENAME)
    assert page.widget("new_title").value == "take me along"
    page.choose(menu, EXPORT)
    assert page.has("export_markdown") and page.has("export_json")
    page.run()
    assert not page.has("export_json"), "asked for once, opened once"
    page.click("import_chats")
    assert page.has("import_file")


def test_a_long_list_comes_in_parts(kept: Site, visit: Visit) -> None:
    for number in range(14):
        kept.library.add("local", SavedConversation(title=f"chat {number}"))
    page = visit(at=kept)
    assert len(rows(page)) == 12
    page.click("show_more_chats")
    assert len(rows(page)) == 14 and not page.has("show_more_chats")


def test_clear_empties_the_page_and_the_chat_can_be_had_back(visit: Visit) -> None:
    page = visit()
    page.ask("hello")
    page.click("clear")
    assert "What would you like to know?" in page.text and rows(page) == []
    page.click("undo_button")
    assert page.path == ["hello", "hello"]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (-1, "Today"),
        (0, "Today"),
        (1, "Yesterday"),
        (2, "Last week"),
        (7, "Last week"),
        (8, "Older"),
    ],
)
def test_chats_stand_under_their_day(days: int, said: str) -> None:
    today = date(2026, 11, 30)
    assert heading_for_day(today - timedelta(days=days), today) == said
