"""Conversations are found by their owners, kept as they grow, and free the engine when wished."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glasschat.chat import Ending, Library, Settings
from glasschat.chat.store import Store, open_store
from glasschat.errors import StoreFull, StoreUnavailable
from glasschat.sampling import SamplingParams
from tests.chat.conftest import DEFAULTS, MakeBackend, answered, texts

ME, OTHER = "me", "somebody else"
LEAVING = Settings(DEFAULTS.params, stop_unwatched=True)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(open_store(tmp_path / "kept.db"), grace_s=4)
    yield library
    library.close()


@pytest.fixture(params=["kept", "unkept"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    """A library with a store, and one without."""
    store = open_store(tmp_path / "either.db") if request.param == "kept" else None
    library = Library(store)
    yield library
    library.close()


def test_a_conversation_is_its_owners_alone(either: Library, make_backend: MakeBackend) -> None:
    mine = either.new(ME)
    mine.ask(make_backend(), "secret", DEFAULTS)
    answered(mine)
    assert either.find(ME, mine.id) is mine
    assert either.find(OTHER, mine.id) is None
    assert either.find(ME, mine.id[:-1]) is None
    assert [info.id for info in either.page(ME, 10).items] == [mine.id]
    assert either.page(OTHER, 10).items == ()
    assert [hit.conversation.id for hit in either.search(ME, "secret", 10)] == [mine.id]
    assert either.search(OTHER, "secret", 10) == ()


def test_an_id_cannot_be_guessed() -> None:
    ids = {Library().new(ME).id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 22


def test_an_empty_conversation_is_not_listed(either: Library) -> None:
    either.new(ME)
    assert either.page(ME, 10).items == ()


def test_everything_is_there_after_a_restart(tmp_path: Path, make_backend: MakeBackend) -> None:
    first = Library(open_store(tmp_path / "kept.db"))
    conversation = first.new(ME)
    backend = make_backend("a long answer")
    settings = Settings(SamplingParams(temperature=0, max_new_tokens=6), "be brief")
    conversation.ask(backend, "how?", settings)
    answered(conversation)
    assert conversation.tree.last is not None
    conversation.go_on(backend, conversation.tree.last.id, settings)
    answered(conversation)
    conversation.edit(backend, conversation.tree.path[0].id, "why?", settings)
    answered(conversation)
    conversation.select(conversation.tree.nodes[1].id)
    conversation.rename("Mine")
    conversation.pin(True)
    before = conversation.saved
    first.close()
    second = Library(open_store(tmp_path / "kept.db"))
    found = second.find(ME, conversation.id)
    assert found is not None
    assert found.tree == before.tree
    assert (found.saved.title, found.saved.pinned, found.saved.system, found.saved.params) == (
        "Mine",
        True,
        "be brief",
        settings.params,
    )
    second.close()


def test_what_another_process_did_is_taken_in(tmp_path: Path, make_backend: MakeBackend) -> None:
    here, there = (Library(open_store(tmp_path / "kept.db")) for _ in range(2))
    backend = make_backend()
    mine = here.new(ME)
    mine.ask(backend, "first", DEFAULTS)
    answered(mine)
    wait_until_kept(here, mine.id)
    theirs = there.find(ME, mine.id)
    assert theirs is not None
    theirs.ask(backend, "second", DEFAULTS)
    answered(theirs)
    wait_until_kept(there, mine.id)
    found = here.find(ME, mine.id)
    assert found is mine
    assert texts(mine) == ["first", "an answer", "second", "an answer"]
    mine.ask(backend, "third", DEFAULTS)
    answered(mine)
    assert mine.outbox.trouble is None
    here.close()
    there.close()


def wait_until_kept(library: Library, conversation_id: str) -> None:
    """The writer is up to half a second behind."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert library.store is not None
        last = library.store.load(ME, conversation_id).tree.last
        if last is not None and not last.in_progress:
            return
        time.sleep(0.05)
    pytest.fail("the reply was not kept")


def test_deleted_conversations_come_back(either: Library, make_backend: MakeBackend) -> None:
    conversation = either.new(ME)
    conversation.ask(make_backend(), "keep me", DEFAULTS)
    answered(conversation)
    either.delete(ME, conversation.id)
    assert either.find(ME, conversation.id) is None
    assert either.page(ME, 10).items == ()
    either.restore(ME, conversation.id)
    assert [info.id for info in either.page(ME, 10).items] == [conversation.id]
    found = either.find(ME, conversation.id)
    assert found is not None
    assert texts(found) == ["keep me", "an answer"]


def test_deleting_stops_the_reply(either: Library, make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    conversation = either.new(ME)
    generation = conversation.ask(make_backend("a long answer", gate=gate), "go", DEFAULTS)
    either.delete(ME, conversation.id)
    gate.release(1000)
    assert generation.result(10).text != "a long answer"


class FailingStore(Store):
    """Is full when told to be, and slow while told to be."""

    full = False
    gate: threading.Event | None = None

    def begin_reply(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.full:
            raise StoreFull("the disk is full: make room")
        return super().begin_reply(*arguments, **named)  # type: ignore[arg-type]


def test_what_could_not_be_kept_is_kept_later(tmp_path: Path, make_backend: MakeBackend) -> None:
    store = FailingStore(open_store(tmp_path / "kept.db").database)
    library, backend = Library(store), make_backend()
    conversation = library.new(ME)
    store.full = True
    for text in ("one", "two"):
        conversation.ask(backend, text, DEFAULTS)
        answered(conversation)
    conversation.rename("Unlucky")
    assert isinstance(conversation.outbox.trouble, StoreFull)
    assert texts(conversation) == ["one", "an answer", "two", "an answer"]
    listed = library.page(ME, 10).items
    assert [(info.id, info.title) for info in listed] == [(conversation.id, "Unlucky")]
    store.full = False
    library.look_after()
    assert conversation.outbox.trouble is None
    library.close()
    again = open_store(tmp_path / "kept.db")
    kept = again.load(ME, conversation.id)
    assert kept.tree == conversation.tree
    assert kept.title == "Unlucky"
    again.close()


def test_a_slow_store_keeps_nobody_from_looking(tmp_path: Path, make_backend: MakeBackend) -> None:
    store = FailingStore(open_store(tmp_path / "kept.db").database)
    store.gate = threading.Event()
    steps = threading.Semaphore(2)
    library, backend = Library(store), make_backend(gate=steps)
    conversation = library.new(ME)
    asking = threading.Thread(target=lambda: conversation.ask(backend, "go", DEFAULTS), daemon=True)
    asking.start()
    seen: list[object] = []

    def look() -> None:
        while not conversation.running:
            time.sleep(0.01)
        (generation,) = conversation.running.values()
        seen.append(library.reply(generation.id))
        seen.append(library.page(ME, 10).items[0].id)
        seen.append(library.find(ME, conversation.id))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(10)
    store.gate.set()
    steps.release(1000)
    asking.join(10)
    library.close()
    assert seen[1:] == [conversation.id, conversation]


def test_a_library_without_a_store_says_why() -> None:
    assert Library().trouble is None
    trouble = StoreUnavailable("no such folder: make it")
    assert Library(trouble=trouble).trouble is trouble


def test_a_store_that_cannot_be_read_is_not_a_chat_that_is_gone(
    library: Library, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, opened = library.new(ME), library.new(ME)
    kept.ask(make_backend(), "hello", DEFAULTS)
    answered(kept)

    def broken(*_: object) -> None:
        raise StoreUnavailable("the disk is gone: mount it again")

    assert library.store is not None
    monkeypatch.setattr(library.store, "info", broken)
    assert library.find(ME, opened.id) is opened
    with pytest.raises(StoreUnavailable, match="mount it again"):
        Library(library.store).find(ME, kept.id)


# --- replies that nobody watches ------------------------------------------------------------


def test_by_choice_a_reply_stops_when_its_last_watcher_leaves(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    backend, library = make_backend(slots=3, gate=gate), Library(grace_s=4)
    left, watched, lasting = (library.new(ME) for _ in range(3))
    for conversation, settings in ((left, LEAVING), (watched, LEAVING), (lasting, DEFAULTS)):
        conversation.ask(backend, "go", settings)
    now = time.monotonic()
    left.live.watched_at = lasting.live.watched_at = now - 4.5
    watched.live.watched_at = now - 100
    watched.live.mark_watched()
    library.look_after()
    gate.release(1000)
    assert answered(left).ending is Ending.CANCELLED
    assert answered(watched).ending is Ending.STOP
    assert answered(lasting).ending is Ending.STOP


def test_a_reload_within_the_grace_loses_nothing(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    library = Library(grace_s=4)
    conversation = library.new(ME)
    conversation.ask(make_backend(gate=gate), "go", LEAVING)
    conversation.live.watched_at -= 3.5
    library.look_after()
    gate.release(1000)
    assert answered(conversation).ending is Ending.STOP


def test_the_watch_runs_by_itself_until_it_is_closed(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    library = Library(grace_s=0.05)
    library.keep_watch(every_s=0.01)
    conversation = library.new(ME)
    generation = conversation.ask(make_backend("a long answer", gate=gate), "go", LEAVING)
    time.sleep(0.3)
    gate.release(1000)
    assert generation.result(10).text != "a long answer"
    library.close()
    assert "glasschat-watch" not in {thread.name for thread in threading.enumerate()}


def test_the_least_recently_watched_is_forgotten_first() -> None:
    library = Library(most=3)
    first, second, third = (library.new(ME) for _ in range(3))
    for age, conversation in ((30, second), (20, first), (10, third)):
        conversation.live.watched_at -= age
    fourth = library.new(ME)
    assert library.find(ME, second.id) is None
    for kept in (first, third, fourth):
        assert library.find(ME, kept.id) is kept


def test_a_conversation_with_a_reply_on_its_way_is_never_forgotten(
    make_backend: MakeBackend,
) -> None:
    gate = threading.Semaphore(1)
    library = Library(most=1)
    busy = library.new(ME)
    busy.ask(make_backend(gate=gate), "go", DEFAULTS)
    busy.live.watched_at -= 100
    library.new(ME)
    library.new(ME)
    assert library.find(ME, busy.id) is busy


def test_a_reply_on_its_way_is_found_by_its_own_id(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    library = Library()
    conversation = library.new(ME)
    generation = conversation.ask(make_backend(gate=gate), "go", DEFAULTS)
    found = library.reply(generation.id)
    assert found is not None
    assert found.generation is generation
    assert library.reply("another") is None
    gate.release(1000)
    answered(conversation)
    assert library.reply(generation.id) is None
