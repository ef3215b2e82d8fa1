"""What a visitor does in a conversation, and what the page is then."""

import pytest

from glasschat.web.site import Site
from tests.support.pages import PageSession
from tests.web.conftest import Visit


def last(page: PageSession) -> str:
    """The id of the last turn."""
    found: str = page.conversation.tree.path[-1].id
    return found


def versions(page: PageSession) -> tuple[int, int]:
    """Which version of the last reply is shown, and of how many."""
    bar = page.toolbar(last(page))
    return bar["at"], bar["of"]


def test_an_example_of_the_empty_page_is_asked_by_a_click(visit: Visit) -> None:
    page = visit()
    assert "What would you like to know?" in page.text
    page.click("example_1")
    assert page.path == ["Write a haiku about the sea."] * 2
    assert "What would you like to know?" not in page.text
    assert not page.has("example_1")


def test_versions_of_a_reply_stay_and_are_reached(visit: Visit) -> None:
    page = visit()
    page.ask("tell me once")
    first = last(page)
    page.act(first, "again")
    assert versions(page) == (2, 2)
    page.act(last(page), "previous")
    assert versions(page) == (1, 2) and last(page) == first
    page.act(first, "previous")
    assert versions(page) == (1, 2), "there is none before the first"
    page.ask("and then")
    assert page.path == ["tell me once"] * 2 + ["and then"] * 2
    page.act(first, "next")
    assert page.path == ["tell me once"] * 2
    page.act(last(page), "previous")
    assert page.path[2:] == ["and then"] * 2


def test_a_question_is_edited_and_the_old_one_kept(visit: Visit) -> None:
    page = visit()
    page.ask("teh question")
    question = page.conversation.tree.path[0].id
    page.act(question, "edit")
    assert page.widget(f"edited_{question}").value == "teh question"
    page.click("edit_cancel")
    assert not page.has(f"edited_{question}")
    page.act(question, "edit")
    page.widget(f"edited_{question}").set_value("the question")
    page.click("edit_send")
    assert page.path == ["the question"] * 2 and not page.has("edit_send")
    edited = page.conversation.tree.path[0].id
    assert (page.toolbar(edited)["at"], page.toolbar(edited)["of"]) == (2, 2)
    page.act(edited, "previous")
    assert page.path == ["teh question"] * 2


def test_what_is_edited_too_long_stays_in_the_editor(visit: Visit) -> None:
    page = visit()
    page.ask("short")
    question = page.conversation.tree.path[0].id
    page.act(question, "edit")
    page.widget(f"edited_{question}").set_value("word " * 900)
    page.click("edit_send")
    assert "shorten it by" in page.notice
    assert page.widget(f"edited_{question}").value == "word " * 900


def test_a_reply_that_was_cut_goes_on_where_it_was(visit: Visit) -> None:
    page = visit()
    page.set(limit_reply=True)
    page.set(max_new_tokens=8)
    page.ask("one two three four")
    assert (
        page.path[-1] == "one two "
        and "ended at the length limit" in page.toolbar(last(page))["line"]
    )
    page.set(limit_reply=False)
    page.act(last(page), "go_on")
    assert page.path[-1] == "one two three four"
    assert "go_on" not in page.actions(last(page))
    assert "limit" not in page.toolbar(last(page))["line"]


def test_a_branch_is_deleted_after_asking_and_can_be_had_back(visit: Visit) -> None:
    page = visit()
    for text in ("to be kept", "to be deleted"):
        page.ask(text)
    question = page.conversation.tree.path[2].id
    page.act(question, "delete")
    assert "Delete this message?" in page.text
    assert "1 turn below it goes with it." in page.text
    page.click("delete_no")
    assert len(page.path) == 4 and not page.has("delete_yes")
    page.act(question, "delete")
    page.click("delete_yes")


def test_a_message_too_long_says_by_how_much_and_is_given_back(visit: Visit) -> None:
    page = visit()
    message = "word " * 900 + "end"
    page.ask(message)
    assert "shorten it by" in page.notice and "tokens" in page.notice
    assert page.app.chat_input[0].value == message
    assert page.path == []
    page.ask("short")
    assert page.path == ["short", "short"] and page.notice == ""


def test_a_wrong_seed_says_what_a_seed_is_as_often_as_it_is_sent(visit: Visit) -> None:
    page = visit()
    inputs = []
    for wrong in ("lucky", "-1", "lucky", "lucky"):
        page.set(seed=wrong)
        page.ask("keep me")
        assert f"or empty, and '{wrong}' is not" in page.notice
        assert page.app.chat_input[0].value == "keep me"
        inputs.append(page.app.chat_input[0].key)
    assert inputs[-1] != inputs[-2], "an input that is told the same text twice takes no notice"
    page.set(seed="7")
    page.ask("keep me")
    assert page.path == ["keep me"] * 2
    assert page.conversation.tree.path[-1].runs[-1].params.seed == 7


def test_a_reply_that_fails_says_so_and_offers_another(visit: Visit) -> None:
    page = visit()
    page.ask("failing: this much")
    assert page.path[-1] == "this much"
    assert "The reply failed" in page.notice
    assert "Press Again, or send another message" in page.notice
    assert "again" in page.actions(last(page))
    page.ask("and on")
    assert page.path[-1] == "and on"


def test_each_visitor_gets_what_they_have_set(visit: Visit) -> None:
    for tokens in (40, 25):
        page = visit()
        page.set(limit_reply=True)
        page.set(max_new_tokens=tokens)
        page.ask("x" * 60)
        assert page.path[-1] == "x" * tokens
        assert page.toolbar(last(page))["line"].startswith(f"{tokens} tokens")


def test_a_slider_changes_only_the_next_reply(visit: Visit) -> None:
    page = visit()
    page.ask("hello there")
    page.set(max_length=8)
    assert page.path[-1] == "hello there"
    page.ask("hello")
    assert "max length 8" in page.notice


def test_shortcuts_do_what_the_help_says(visit: Visit) -> None:
    page = visit()
    page.ask("by keyboard")
    page.press("again")
    assert versions(page) == (2, 2)
    page.press("next")
    assert versions(page) == (2, 2)
    page.press("previous")
    assert versions(page) == (1, 2)
    page.press("next")
    assert versions(page) == (2, 2)
    page.press("edit")
    assert page.widget(f"edited_{page.conversation.tree.path[0].id}").value == "by keyboard"
    page.click("edit_cancel")
    page.press("glass")
    assert page.has("glass_box")
    page.press("glass")
    assert not page.has("glass_box")
    page.press("help")
    assert "Answer the last question anew" in page.text and "`Alt + R`" in page.text
    page.press("new")
    assert "What would you like to know?" in page.text
    for nothing in ("again", "edit", "previous", "glass", "unheard-of"):
        page.press(nothing)
    assert page.path == [] and page.notice == ""


def test_the_button_for_the_keyboards_help_opens_it(visit: Visit) -> None:
    page = visit()
    page.click("keyboard_help")
    assert "Stop the reply; what is there stays" in page.text


# --- in the glass box ---------------------------------------------------------------------


def glass(page: PageSession, action: str, **asked: object) -> None:
    page.trigger("glass_box", "act", {"action": action, **asked})


def test_another_token_is_taken_and_nothing_is_lost(visit: Visit) -> None:
    page = visit()
    page.ask("abcdef")
    reply = last(page)
    page.act(reply, "glass")
    assert page.data("glass_box")["can_branch"] and page.data("glass_box")["can_ask"]
    glass(page, "branch", place=2, token=ord("x"))
    assert page.path[-1].startswith("abx") and versions(page) == (2, 2)
    assert page.state["glass"] == last(page), "who looks into one reply looks into the next"
    glass(page, "branch", place=3, changes={"temperature": 0.0})
    assert page.notice == "" and versions(page) == (3, 3)
    run = page.conversation.tree.path[-1].runs[-1]
    assert run.params.temperature == 0.0
    glass(page, "select", turn=reply)
    assert page.path[-1] == "abcdef"


def test_settings_are_compared_side_by_side(visit: Visit) -> None:
    page = visit()
    page.ask("abc")
    page.act(last(page), "glass")
    glass(page, "compare", settings=[{"temperature": 0.0}, {"top_k": 1}])
    turns = page.data("glass_box")["compared"]
    assert len(turns) == 2
    runs = [page.conversation.tree[turn].runs[-1] for turn in turns]
    assert [run.params.temperature for run in runs] == [0.0, 0.7] and runs[1].params.top_k == 1
    glass(page, "compare", settings=[{"temperature": -1}])
    assert "Temperature must be" in page.notice
    assert page.data("glass_box")["compared"] == turns


def test_what_no_reply_can_begin_with_is_refused_by_name(visit: Visit) -> None:
    page = visit()
    page.ask("abc")
    page.act(last(page), "glass")
    glass(page, "begin", paused=True)
    assert page.data("glass_box")["paused"] and "Replies start paused" in page.text
    glass(page, "begin", paused=False)
    assert not page.data("glass_box")["paused"]
    glass(page, "close")
    assert not page.has("glass_box")


def test_nothing_is_asked_of_a_box_that_is_on_no_reply(site: Site, visit: Visit) -> None:
    page = visit()
    page.ask("abc")
    page.act(last(page), "glass")
    page.state["glass"] = "gone"
    page.run()
    assert not page.has("glass_box")


@pytest.mark.parametrize("action", ["again", "compare", "branch"])
def test_actions_of_the_box_need_an_open_reply(visit: Visit, action: str) -> None:
    page = visit()
    page.ask("abc")
    page.act(last(page), "glass")
    page.state["glass"] = ""
    glass(page, action)
    assert len(page.conversation.tree.nodes) == 2
