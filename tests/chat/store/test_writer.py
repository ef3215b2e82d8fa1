"""A reply is in the store while it grows, and the engine never hears of it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from glasschat.chat.node import Ending, Node, Run, new_id, now_ms
from glasschat.chat.store import ReplyWriter, Store, open_store
from glasschat.chat.store.liveness import LEASE_MS
from glasschat.engine import FinishReason, Step
from glasschat.errors import StoreConflict, StoreFull
from glasschat.sampling import SamplingParams
from tests.chat.conftest import DEFAULTS, MakeBackend, alone
from tests.chat.store.conftest import ME
from tests.chat.store.writing import begun, generation, grow, word

NEVER_S = 3600.0
"""Writers that write when they are told to, and not by the clock."""


@pytest.fixture
def writer(store: Store) -> Iterator[ReplyWriter]:
    made = ReplyWriter(store, every_s=0.01)
    yield made
    made.close()


def kept(store: Store, conversation: str, reply: str) -> Node:
    return store.load(ME, conversation).tree[reply]


def test_a_reply_of_the_engine_is_kept_with_its_figures(
    store: Store, writer: ReplyWriter, make_backend: MakeBackend
) -> None:
    backend = make_backend("so be it")
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    handle = alone().ask(backend, "count!", DEFAULTS)
    writer.follow(stored, handle)
    handle.result(10)
    writer.flush()
    node, snapshot = kept(store, conversation, reply), handle.snapshot()
    assert (node.text, node.ids) == ("so be it", tuple(b"so be it"))
    run = node.runs[0]
    assert (run.ending, run.usage, run.timings, run.seed) == (
        Ending.STOP,
        snapshot.usage,
        snapshot.timings,
        snapshot.seed,
    )
    assert writer.waiting == 0
    assert [hit.turn_id for hit in store.search(ME, "so be")] == [reply]


def test_another_process_reads_it_while_it_grows(store: Store, url: str) -> None:
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    assert kept(store, conversation, reply).in_progress
    writer, handle = ReplyWriter(store, every_s=NEVER_S), generation()
    writer.follow(stored, handle)
    other = open_store(url)
    for count in (1, 5, 9):
        grow(handle, count - len(handle.steps()))
        writer.flush()
        node = kept(other, conversation, reply)
        assert node.in_progress and node.ids == tuple(range(count))
        assert node.text == "".join(map(word, range(count)))
    other.close()
    handle.writer.finish(FinishReason.CANCELLED)
    writer.close()
    assert kept(store, conversation, reply).runs[-1].ending is Ending.CANCELLED


def test_ids_wait_for_their_text(store: Store) -> None:
    """Else a reply that goes on after a crash would lack the characters between."""
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    writer, handle = ReplyWriter(store, every_s=NEVER_S), generation()
    writer.follow(stored, handle)
    for token, text in enumerate(["a", "", "", "天", ""]):
        handle.writer.append(Step(token, text, None))
    writer.flush()
    node = kept(store, conversation, reply)
    assert (node.text, node.ids) == ("a天", (0, 1, 2, 3))
    writer.close()
    node = kept(store, conversation, reply)
    assert (node.text, node.ids) == ("a天", (0, 1, 2, 3))
    assert node.runs[-1].ending is Ending.INTERRUPTED and node.cut


def test_a_reply_that_goes_on_keeps_what_it_had(store: Store) -> None:
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    writer = ReplyWriter(store, every_s=NEVER_S)
    first = generation()
    writer.follow(stored, first)
    grow(first, 3)
    first.writer.finish(FinishReason.LENGTH)
    writer.flush()
    tree = store.load(ME, conversation).tree.go_on(reply, Run(SamplingParams(seed=9)))
    with pytest.raises(StoreConflict):  # of another page, in the same moment
        store.begin_reply(ME, conversation, tree[reply])
        store.begin_reply(ME, conversation, tree[reply])
    # What began above is given up; its writer is this process, so its silence tells.
    later = Store(store.database, clock=lambda: now_ms() + LEASE_MS + 1)
    assert later.load(ME, conversation).tree[reply].runs[-1].ending is Ending.INTERRUPTED
    tree = store.load(ME, conversation).tree.go_on(reply, Run(SamplingParams(seed=10)))
    stored = store.begin_reply(ME, conversation, tree[reply])
    second = generation(ending=77)
    writer.follow(stored, second)
    for token in (7, 8, 77):
        second.writer.append(Step(token, word(token) if token != 77 else "", None))
    writer.flush()
    assert kept(store, conversation, reply).text == "0 1 2 7 8 "
    second.writer.finish(FinishReason.STOP)
    writer.close()
    node = kept(store, conversation, reply)
    assert (node.text, node.ids) == ("0 1 2 7 8 ", (0, 1, 2, 7, 8))
    assert [run.first_token for run in node.runs] == [0, 3, 3]
    endings = [run.ending for run in node.runs]
    assert endings == [Ending.LENGTH, Ending.INTERRUPTED, Ending.STOP]


def test_a_writer_that_slept_comes_back_and_nothing_is_lost(store: Store) -> None:
    """A laptop's lid was closed; another process thought the reply given up."""
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    writer, handle = ReplyWriter(store, every_s=NEVER_S), generation()
    writer.follow(stored, handle)
    grow(handle, 3)
    writer.flush()
    later = Store(store.database, clock=lambda: now_ms() + LEASE_MS + 1)
    assert later.load(ME, conversation).tree[reply].cut
    grow(handle, 3)
    writer.flush()
    node = kept(store, conversation, reply)
    assert node.in_progress and node.ids == tuple(range(6))
    handle.writer.finish(FinishReason.STOP)
    writer.close()
    node = kept(store, conversation, reply)
    assert node.runs[-1].ending is Ending.STOP and node.text == "".join(map(word, range(6)))


def test_a_chat_that_was_cleared_up_is_no_longer_written(store: Store) -> None:
    conversation = store.create(ME).id
    _, stored = begun(store, conversation)
    writer, handle = ReplyWriter(store, every_s=NEVER_S), generation()
    writer.follow(stored, handle)
    store.delete(ME, conversation)
    store.clear_up(now_ms() + 1)
    grow(handle)
    writer.flush()
    assert writer.waiting == 0 and writer.trouble is None
    writer.close()


def test_several_replies_are_kept_at_once(store: Store, writer: ReplyWriter) -> None:
    conversation = store.create(ME).id
    replies = []
    for _ in range(5):
        reply, stored = begun(store, conversation)
        handle = generation()
        writer.follow(stored, handle)
        replies.append((reply, handle))
    for _, handle in replies:
        grow(handle, 10)
    for _, handle in replies:
        handle.writer.finish(FinishReason.STOP)
    writer.flush()
    for reply, _ in replies:
        assert kept(store, conversation, reply).ids == tuple(range(10))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is full: nothing may grow beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_made_up_for_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    store = open_store(path)
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    writer, handle = ReplyWriter(store, every_s=NEVER_S), generation()
    writer.follow(stored, handle)
    grow(handle, 3)
    writer.flush()
    with files_of_at_most(os.path.getsize(f"{path}-wal")):  # noqa: PTH202
        grow(handle, 2000)
        for _ in range(2):
            with pytest.raises(StoreFull, match="full"):
                writer.flush()
        with pytest.raises(StoreFull):
            store.add_turn(ME, conversation, Node(new_id(), None, "user", "x" * 10_000))
        # What is there can be read meanwhile.
        assert kept(store, conversation, reply).ids == (0, 1, 2)
    writer.flush()
    assert kept(store, conversation, reply).ids == tuple(range(2003))
    handle.writer.finish(FinishReason.STOP)
    writer.close()
    assert not kept(store, conversation, reply).in_progress
    store.close()


def test_the_thread_tells_its_trouble_and_when_it_is_over(
    store: Store, writer: ReplyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = store.create(ME).id
    reply, stored = begun(store, conversation)
    handle = generation()

    def full(*_: object) -> None:
        raise StoreFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("glasschat.chat.store.writer.replies.append", full)
        grow(handle, 3)
        writer.follow(stored, handle)
        wait_until(lambda: writer.trouble is not None)
        assert str(writer.trouble) == "the disk is full"
    wait_until(lambda: writer.trouble is None)
    assert kept(store, conversation, reply).ids == (0, 1, 2)
    handle.writer.finish(FinishReason.STOP)
    wait_until(lambda: writer.waiting == 0)
    assert replace(kept(store, conversation, reply).runs[0], ending=None).ending is None


def wait_until(done: object, seconds: float = 10) -> None:
    import time

    assert callable(done)
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_it_ends_when_close_falls_into_its_falling_asleep(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that wakes it for the end comes just before it takes calls back."""
    writer = ReplyWriter(store, every_s=0)
    take_back = writer._wake.clear

    def late() -> None:
        writer._closing.set()
        writer._wake.set()
        take_back()

    monkeypatch.setattr(writer._wake, "clear", late)
    writer._wake.set()
    writer._thread.join(10)
    assert not writer._thread.is_alive()
