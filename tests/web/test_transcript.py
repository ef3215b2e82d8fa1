"""The turns of a conversation, and a reply on its way, as the page shows them."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from glasschat.backends import LocalBackend
from glasschat.chat import Ending, Library, Node, Run, SavedConversation, Settings, Tree
from glasschat.chat.user_presets import UserPresets
from glasschat.sampling import SamplingParams
from glasschat.web import transcript
from glasschat.web.site import Site
from tests.support.echo_model import echo_model
from tests.support.long_chat import long_chat
from tests.support.pages import PageSession, dialog_app
from tests.web.conftest import Visit

LONG = "slowly: " + "the quick brown fox jumps over the lazy dog. " * 40


@pytest.fixture
def one_slot() -> Iterator[Site]:
    """A site whose model has one slot; two replies may wait for it."""
    with LocalBackend(lambda _: echo_model(), name="scripted", max_waiting=2) as backend:
        backend.load()
        yield Site(backend, Library(), UserPresets())


def elsewhere(site: Site, text: str) -> Callable[[], None]:
    """Somebody else asks something; what stops the reply to that."""
    conversation = site.library.new("somebody else")
    generation = conversation.ask(site.backend, text, Settings(SamplingParams()))
    return generation.cancel


def test_waiting_visitors_see_their_place_and_then_the_prompt_being_read(one_slot: Site) -> None:
    stop = [elsewhere(one_slot, LONG), elsewhere(one_slot, LONG)]
    page = PageSession(one_slot).run()

    def free() -> None:
        for condition, cancel in (("2nd in the queue", stop[0]), ("next in the queue", stop[1])):
            while condition not in page.seen:
                threading.Event().wait(0.02)
            cancel()

    thread = threading.Thread(target=free, daemon=True)
    thread.start()
    page.ask("x" * 1500)
    thread.join(30)
    assert page.path[-1] == "x" * 1500
    lines = re.findall(r"2nd in the queue|next in the queue|reading the prompt|writing", page.seen)
    shown = list(dict.fromkeys(lines))
    assert shown[:2] == ["2nd in the queue", "next in the queue"]
    assert re.search(r"reading the prompt \d+% of 1,5\d\d tokens", page.seen)
    assert shown.index("reading the prompt") == 2


def test_a_message_that_finds_the_queue_full_is_given_back(one_slot: Site) -> None:
    stop = [elsewhere(one_slot, LONG) for _ in range(3)]
    page = PageSession(one_slot).run()
    page.ask("z")
    assert "at most 2 may: try again in a moment" in page.notice
    assert page.app.chat_input[0].value == "z"
    for cancel in stop:
        cancel()


def test_a_reply_that_grows_is_drawn_in_blocks_and_its_end_comes_as_a_stream(visit: Visit) -> None:
    code = "\n```\n" + "x = 1\n" * 60 + "```"
    blocks = ["first" + code, "second" + code, "the end"]
    page = visit()
    page.ask("\n\n".join(blocks))
    mounted = [
        message.delta.new_element.bidi_component
        for message in page.sent
        if message.WhichOneof("type") == "delta"
        and message.delta.new_element.WhichOneof("type") == "bidi_component"
    ]
    live = [component.json for component in mounted if "glass/replies/" in component.json]
    assert live and '"from=' not in live[0]
    [reply] = [turn for turn in page.conversation.tree.path if turn.role == "assistant"]
    assert page.state["pieces"] == 3
    assert reply.text == "\n\n".join(blocks).strip()


def test_an_interrupted_reply_offers_to_go_on(site: Site, visit: Visit) -> None:
    tree = Tree().ask("q", "one two three four five")
    tree = tree.reply("q", "a", Run(SamplingParams()))
    run = Run(SamplingParams(), ending=Ending.INTERRUPTED)
    tree = tree.put(replace(tree["a"], text="one two", runs=(run,)))
    chat = site.library.add("local", SavedConversation(title="cut", tree=tree))
    page = visit(chat=chat)
    assert "The server ended while this was written. Go on takes it up there." in page.text
    reply = page.conversation.tree.path[-1].id
    assert page.actions(reply) == ["again", "go_on", "glass", "delete"]
    page.act(reply, "go_on")
    assert page.path[-1].startswith("one two") and page.path[-1].endswith("three four five")
    assert len(page.conversation.tree.path[-1].runs) == 2
    assert "The server ended" not in page.text


def test_a_reply_that_another_server_writes_is_shown_as_far_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transcript, "OTHER_SERVER_POLL_S", 0.01)
    app = dialog_app(
        partial(transcript.draw_reply_of_other_server, Node("a", "q", "assistant", "so far"))
    )
    assert [element.value for element in app.markdown] == ["so far"]
    assert app.caption[0].value == ":primary[●] being written by another server"


def test_a_very_long_chat_opens_with_its_recent_part(site: Site, visit: Visit) -> None:
    """A thousand turns cost the page less than a megabyte; the rest comes on demand."""
    page = visit(chat=site.library.add("local", long_chat(500)))
    assert "Answer 499." in page.text and "Answer 100." not in page.text
    assert sum(message.ByteSize() for message in page.sent) < 1_000_000
    assert page.widget("show_earlier").label == "970 earlier turns"
    page.click("show_earlier")
    assert "Answer 460." in page.text and "Answer 400." not in page.text
    assert page.widget("show_earlier").label == "910 earlier turns"


def test_the_meter_says_how_full_the_context_is(visit: Visit) -> None:
    page = visit()
    page.ask("hello")
    [used] = re.findall(r"([\d,]+) of 4,096 tokens", page.text)
    assert f"{4096 - int(used):,} free" in page.text
