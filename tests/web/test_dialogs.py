"""The dialogs of conversations: a title, files out and in."""

import json
from dataclasses import replace
from functools import partial

import pytest

from glasschat.chat import Library
from glasschat.chat.exchange import as_json
from glasschat.web import dialogs
from glasschat.web.dialogs import ask_for_export, ask_for_import, ask_for_title, file_name
from tests.support.long_chat import long_chat
from tests.support.pages import dialog_app

ME = "me"


@pytest.fixture
def library() -> Library:
    return Library()


def test_a_chat_is_given_another_title(library: Library) -> None:
    conversation = library.new(ME)
    app = dialog_app(partial(ask_for_title, conversation))
    for typed, kept in (("**My** <b>title</b>", "**My** <b>title</b>"), ("   ", "**My**")):
        app.text_input[0].set_value(typed)
        app.button[0].click().run()
        assert conversation.saved.title.startswith(kept)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("take me along", "take-me-along"),
        ("../../etc/passwd?", "etc-passwd"),
        ("天空 ☁", "天空"),
        ("", "chat"),
        ("x" * 99, "x" * 60),
    ],
)
def test_a_files_name_suits_any_system(title: str, name: str) -> None:
    assert file_name(title) == name


def test_an_export_is_offered_in_both_forms(library: Library) -> None:
    conversation = library.new(ME)
    app = dialog_app(partial(ask_for_export, conversation))
    assert [button.key for button in app.get("download_button")] == [
        "export_markdown",
        "export_json",
    ]


def test_what_is_imported_is_reported_and_not_taken_in_twice(library: Library) -> None:
    app = dialog_app(partial(ask_for_import, library, ME))
    exported = json.loads(as_json([long_chat(1), replace(long_chat(2), id="another")]))
    exported["conversations"].append({"turns": 7})
    app.file_uploader[0].set_value(("chats.json", json.dumps(exported).encode(), "json")).run()
    said = [item.value for item in (*app.success, *app.warning)]
    assert said == ["2 chats were imported."]
    assert "Left out:" in [item.value for item in app.caption]
    assert len(library.page(ME, 9).items) == 2
    app.run()
    assert len(library.page(ME, 9).items) == 2
    app.button[0].click().run()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"not": "a chat"}', "no chats that are known here"),
        (b"\x89PNG", "The file is not text in UTF-8: choose a JSON file."),
        (b"[]", "The file holds no chats"),
    ],
)
def test_a_file_that_is_no_chat_is_refused_with_a_reason(
    library: Library, data: bytes, said: str
) -> None:
    app = dialog_app(partial(ask_for_import, library, ME))
    app.file_uploader[0].set_value(("wrong.json", data, "application/json")).run()
    assert said in app.error[0].value
    assert not app.button, "there is nothing to be done with"
    assert not library.page(ME, 9).items


def test_a_long_report_is_cut(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogs, "MOST_REPORTED", 1)
    app = dialog_app(partial(ask_for_import, library, ME))
    turns: list[object] = [{"turns": 1}, {"id": 3}, {"turns": "x"}]
    exported = json.loads(as_json([long_chat(1)]))
    exported["conversations"] += turns
    app.file_uploader[0].set_value(("chats.json", json.dumps(exported).encode(), "json")).run()
    [report] = [item.value for item in app.markdown]
    assert report.startswith("- ")
    lines = report.split("\n")
    assert len(lines) == 1 or lines[-1].startswith("- and ")
