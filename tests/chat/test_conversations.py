"""Nobody's tab keeps the engine busy after it is closed, and nobody's chat is guessed."""

import threading
import time

from glasschat.chat import Conversations
from glasschat.engine import FinishReason
from tests.chat.conftest import DEFAULTS, MakeBackend, answered


def test_a_conversation_is_found_by_its_id_alone() -> None:
    conversations = Conversations()
    one, other = conversations.add(), conversations.add()
    assert conversations.find(one.id) is one
    assert conversations.find(other.id) is other
    assert conversations.find("") is None
    assert conversations.find(one.id[:-1]) is None


def test_an_id_cannot_be_guessed() -> None:
    ids = {Conversations().add().id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 22


def test_a_reply_that_nobody_watches_is_cancelled_after_the_grace(
    make_backend: MakeBackend,
) -> None:
    gate = threading.Semaphore(1)
    backend, conversations = make_backend(slots=2, gate=gate), Conversations(grace_s=4)
    left, watched = conversations.add(), conversations.add()
    for conversation in (left, watched):
        conversation.ask(backend, "go", DEFAULTS)
    now = time.monotonic()
    left.watched_at, watched.watched_at = now - 4.5, now - 100
    watched.watched()
    conversations.cancel_unwatched()
    gate.release(1000)
    assert answered(left).finish_reason is FinishReason.CANCELLED
    assert answered(watched).finish_reason is FinishReason.STOP


def test_a_reload_within_the_grace_loses_nothing(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    conversations = Conversations(grace_s=4)
    conversation = conversations.add()
    conversation.ask(make_backend(gate=gate), "go", DEFAULTS)
    conversation.watched_at -= 3.5
    conversations.cancel_unwatched()
    gate.release(1000)
    assert answered(conversation).finish_reason is FinishReason.STOP


def test_a_finished_reply_is_kept_though_nobody_watches(make_backend: MakeBackend) -> None:
    conversations = Conversations(grace_s=0)
    conversation = conversations.add()
    conversation.ask(make_backend(), "go", DEFAULTS)
    answered(conversation)
    conversation.watched_at -= 100
    conversations.cancel_unwatched()
    assert answered(conversation).finish_reason is FinishReason.STOP


def test_the_watch_runs_by_itself_until_it_is_closed(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    conversations = Conversations(grace_s=0.05)
    conversations.keep_watch(every_s=0.01)
    conversation = conversations.add()
    generation = conversation.ask(make_backend(gate=gate), "go", DEFAULTS)
    time.sleep(0.3)
    gate.release(1000)
    assert generation.result(10).finish_reason is FinishReason.CANCELLED
    conversations.close()
    assert "glasschat-watch" not in {thread.name for thread in threading.enumerate()}


def test_the_least_recently_watched_is_forgotten_first() -> None:
    conversations = Conversations(most=3)
    first, second, third = (conversations.add() for _ in range(3))
    for age, conversation in ((30, second), (20, first), (10, third)):
        conversation.watched_at -= age
    fourth = conversations.add()
    assert conversations.find(second.id) is None
    for kept in (first, third, fourth):
        assert conversations.find(kept.id) is kept


def test_a_conversation_with_a_reply_on_its_way_is_never_forgotten(
    make_backend: MakeBackend,
) -> None:
    gate = threading.Semaphore(1)
    conversations = Conversations(most=1)
    busy = conversations.add()
    busy.ask(make_backend(gate=gate), "go", DEFAULTS)
    busy.watched_at -= 100
    conversations.add()
    conversations.add()
    assert conversations.find(busy.id) is busy
