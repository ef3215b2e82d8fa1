"""Conversations whose replies another server writes: kept, cut off, gone on with."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions
from glasschat.chat import Conversation, Ending, Library, Settings
from glasschat.chat.store import Store, open_store
from glasschat.errors import GlasschatError, RemoteRefused
from glasschat.sampling import SamplingParams
from tests.chat.conftest import MakeBackend, answered, texts
from tests.support.fake_remote import (
    Exchange,
    FakeRemote,
    Script,
    delta,
    fake_remote,
    replying,
    scripts,
    token,
)

ME = "me"
SETTINGS = Settings(SamplingParams(temperature=0.5, top_k=7))
TIMEOUT_S = 20.0
Front = Callable[..., tuple[RemoteBackend, FakeRemote]]


@pytest.fixture
def front() -> Iterator[Front]:
    """A backend in front of a server that answers by a script."""
    with ExitStack() as stack:

        def make(chat: Script, *, owner: str = "vllm") -> tuple[RemoteBackend, FakeRemote]:
            remote = stack.enter_context(fake_remote(chat, owner=owner))
            backend = stack.enter_context(
                RemoteBackend(RemoteOptions(address=Address.parse(remote.url)))
            )
            backend.load()
            return backend, remote

        yield make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "kept.db")


@pytest.fixture
def library(store: Store) -> Iterator[Library]:
    library = Library(store)
    yield library
    library.close()


def ended(conversation: Conversation) -> None:
    reply = conversation.last_reply
    assert reply is None or reply.wait_for_end(TIMEOUT_S)


def telling(exchange: Exchange) -> None:
    exchange.begin()
    exchange.event(delta("Hi", token("Hi", -0.5, ("Hi", -0.5), ("Yo", -1.5))))
    exchange.event(delta(" 🙂", token("\ufffd", -0.25, (" 🙂", -0.25))))
    exchange.end(prompt_tokens=4, completion_tokens=2)


def test_a_reply_is_kept_as_text_with_what_was_told_of_it(
    front: Front, library: Library, store: Store
) -> None:
    backend, _ = front(telling)
    conversation = library.new(ME)
    conversation.ask(backend, "Hello", SETTINGS)
    run = answered(conversation)
    assert run.ending is Ending.STOP
    assert run.origin.model == "tiny"
    assert run.usage.completion_tokens == 2
    library.close()

    kept = Library(open_store(store.place))
    found = kept.find(ME, conversation.id)
    assert found is not None and found.tree.last is not None
    assert (found.tree.last.text, found.tree.last.ids) == ("Hi 🙂", None)
    (told,) = found.remote_traces(found.tree.last.id)
    assert told is not None
    first, second = told.steps
    assert first.chosen is not None and (first.text, first.chosen.logprob) == ("Hi", -0.5)
    assert [(c.written, c.data, c.logprob) for c in first.top] == [
        ("Hi", b"Hi", -0.5),
        ("Yo", b"Yo", -1.5),
    ]
    assert second.text == " 🙂"
    assert found.traces(found.tree.last.id) == (None,)
    kept.close()


def test_what_is_told_can_be_seen_while_it_comes_and_without_a_store(front: Front) -> None:
    go = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.event(delta("Hi", token("Hi", -0.5)))
        go.wait(TIMEOUT_S)
        exchange.event(delta(" you", token(" you", -0.25)))
        exchange.end()

    backend, _ = front(script)
    conversation = Library().new(ME)
    reply = conversation.ask(backend, "Hello", SETTINGS)
    deadline = time.monotonic() + TIMEOUT_S
    while not reply.steps():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    last = conversation.tree.last
    assert last is not None
    (told,) = conversation.remote_traces(last.id)
    assert told is not None and len(told) == 1
    go.set()
    ended(conversation)
    (told,) = conversation.remote_traces(last.id)
    assert told is not None and [step.text for step in told.steps] == ["Hi", " you"]


def test_what_the_server_refuses_changes_nothing(front: Front, library: Library) -> None:
    backend, _ = front(lambda e: e.answer(429, {"error": {"message": "busy"}}))
    conversation = library.new(ME)
    with pytest.raises(RemoteRefused, match="too much to do"):
        conversation.ask(backend, "Hello", SETTINGS)
    assert conversation.tree.nodes == ()


def breaking(exchange: Exchange) -> None:
    exchange.begin()
    exchange.say("The sky ", "is")
    exchange.break_off()


def test_what_came_before_the_server_died_stays_and_goes_on_when_it_is_back(
    front: Front, library: Library
) -> None:
    backend, remote = front(scripts(breaking, replying(" blue.")))
    conversation = library.new(ME)
    conversation.ask(backend, "Why?", SETTINGS)
    ended(conversation)
    last = conversation.tree.last
    assert last is not None and last.cut
    assert (last.text, last.runs[-1].ending) == ("The sky is", Ending.ERROR)
    assert "broke off in the middle" in (last.runs[-1].error or "")

    conversation.go_on(backend, last.id, SETTINGS)
    ended(conversation)
    assert texts(conversation) == ["Why?", "The sky is blue."]
    asked = remote.chats()[-1]
    assert asked["messages"][-1] == {"role": "assistant", "content": "The sky is"}
    assert asked["continue_final_message"] is True


def test_what_is_recorded_of_a_run_is_what_was_sent(front: Front, library: Library) -> None:
    """OpenAI's interface takes no top-k: the record does not claim it, the widgets keep it."""
    backend, remote = front(replying("yes"), owner="openai")
    conversation = library.new(ME)
    conversation.ask(backend, "Hello", SETTINGS)
    run = answered(conversation)
    assert "top_k" not in remote.chats()[0]
    assert (run.params.top_k, run.params.repetition_penalty) == (0, 1.0)
    assert run.params.temperature == 0.5
    assert conversation.saved.params == SETTINGS.params


def test_a_process_that_dies_leaves_the_text_without_ids(
    front: Front, library: Library, store: Store
) -> None:
    """What another process reads while this one writes, and all it would find after a crash."""
    go = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.say("The ", "sky")
        go.wait(TIMEOUT_S)
        exchange.end()

    backend, _ = front(script)
    conversation = library.new(ME)
    conversation.ask(backend, "Why?", SETTINGS)
    deadline, elsewhere = time.monotonic() + TIMEOUT_S, open_store(store.place)
    while True:
        last = elsewhere.load(ME, conversation.id).tree.last
        if last is not None and last.text == "The sky":
            break
        assert time.monotonic() < deadline, last
        time.sleep(0.05)
    assert last.ids is None
    go.set()
    ended(conversation)
    elsewhere.close()


def test_a_reply_of_ours_may_go_on_elsewhere_and_then_has_no_ids(
    front: Front, library: Library, store: Store, make_backend: MakeBackend
) -> None:
    backend, _ = front(replying(" and more"))
    conversation = library.new(ME)
    short = Settings(SamplingParams(temperature=0.0, max_new_tokens=5))
    conversation.ask(make_backend("an answer"), "Why?", short)
    answered(conversation)
    last = conversation.tree.last
    assert last is not None and last.ids is not None and last.text == "an an"
    conversation.go_on(backend, last.id, SETTINGS)
    ended(conversation)
    library.close()
    elsewhere = open_store(store.place)
    kept = elsewhere.load(ME, conversation.id).tree.last
    assert kept is not None
    assert (kept.text, kept.ids) == ("an an and more", None)
    elsewhere.close()


def test_another_token_cannot_be_taken_there(front: Front, library: Library) -> None:
    backend, _ = front(telling)
    conversation = library.new(ME)
    conversation.ask(backend, "Hello", SETTINGS)
    answered(conversation)
    last = conversation.tree.last
    assert last is not None
    with pytest.raises(GlasschatError):
        conversation.branch(backend, last.id, 0, SETTINGS, token_id=5)
    assert len(conversation.tree.nodes) == 2


def test_how_full_the_context_is_is_an_estimate_where_nobody_counts(
    front: Front, library: Library
) -> None:
    backend, _ = front(telling, owner="openai")
    conversation = library.new(ME)
    before = conversation.context_use(backend, SETTINGS)
    assert before.estimated and before.used > 0
    conversation.ask(backend, "Hello", SETTINGS)
    answered(conversation)
    after = conversation.context_use(backend, SETTINGS)
    assert after.estimated and after.used >= 4 + 2, "it builds on what the server has counted"
