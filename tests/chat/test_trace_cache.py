"""How a reply was chosen is there while it grows, once it has ended, and after a restart."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Ending, Library, Node, Settings
from glasschat.chat.exchange import as_json, import_file
from glasschat.chat.node import Run
from glasschat.chat.store import Store, open_store
from glasschat.chat.trace_cache import TraceCache
from glasschat.errors import InvalidMessage, StoreError, StoreUnavailable
from glasschat.glass import Trace
from glasschat.models.base import Logits
from glasschat.sampling import SamplingParams
from tests.chat.conftest import MakeBackend, answered

ME = "me"
SIX = Settings(SamplingParams(temperature=1.0, max_new_tokens=6, ignore_eos=True))


class CountingStore(Store):
    """Counts what is read of traces, and cannot be reached when told so."""

    asked = 0
    away = False

    def traces(self, *arguments: str) -> tuple[Trace | None, ...]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("the store is not there")
        return super().traces(*arguments)


def babble(ids: Sequence[int]) -> Logits:
    """Scores that depend on the last two ids alone."""
    row = np.full(260, -30.0, np.float32)
    row[97:123] = np.random.default_rng(list(ids[-2:])).normal(0, 2, 26)
    return row


@pytest.fixture(params=["kept", "unkept"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    """A library with a store, and one without."""
    store = open_store(tmp_path / "either.db") if request.param == "kept" else None
    library = Library(store)
    yield library
    library.close()


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(open_store(tmp_path / "kept.db").database)


@pytest.fixture
def kept(store: CountingStore) -> Iterator[Library]:
    library = Library(store)
    yield library
    library.close()


def written(library: Library, backend: LocalBackend, runs: int = 1) -> tuple[Conversation, Node]:
    """A reply of six letters for each run, in a conversation of its own."""
    conversation = library.new(ME)
    conversation.ask(backend, "go", SIX)
    answered(conversation)
    for _ in range(runs - 1):
        conversation.go_on(backend, last(conversation).id, SIX)
        answered(conversation)
    return conversation, last(conversation)


def last(conversation: Conversation) -> Node:
    assert conversation.tree.last is not None
    return conversation.tree.last


def ids_of(traces: Sequence[Trace | None]) -> list[tuple[int, ...] | None]:
    """The tokens of each run."""
    return [None if trace is None else trace.token_ids for trace in traces]


def test_every_run_has_its_trace_and_a_branch_those_of_what_it_shares(
    either: Library, make_backend: MakeBackend
) -> None:
    backend = make_backend(babble)
    conversation, reply = written(either, backend, runs=2)
    assert reply.ids is not None
    assert ids_of(conversation.traces(reply.id)) == [reply.ids[:6], reply.ids[6:]]
    question = conversation.tree.path[0].id
    assert conversation.traces(question) == ()
    with pytest.raises(InvalidMessage, match="no turn"):
        conversation.traces("nobody")
    for place, runs in ((0, 1), (4, 2), (6, 2), (9, 3)):
        conversation.branch(backend, reply.id, place, SIX, token_id=ord("x"))
        answered(conversation)
        branch = last(conversation)
        traces = conversation.traces(branch.id)
        assert len(traces) == len(branch.runs) == runs
        ids = branch.ids or ()
        starts = [run.first_token for run in branch.runs] + [len(ids)]
        assert ids_of(traces) == [ids[a:b] for a, b in pairwise(starts)]
        for trace, run in zip(traces, branch.runs, strict=True):
            assert trace is not None
            assert (trace.earlier, trace.seed) == (run.first_token, run.seed)
        own = traces[-1]
        assert own is not None and own.columns.forced.tolist() == [True] + [False] * 5


def test_a_growing_reply_is_read_from_memory_alone(
    kept: Library, store: CountingStore, make_backend: MakeBackend
) -> None:
    gate = threading.Semaphore(1000)
    backend = make_backend(babble, gate=gate, slots=2)
    conversation, reply = written(kept, backend)
    conversation.traces(reply.id)
    while gate.acquire(blocking=False):
        pass
    gate.release(3)
    generation = conversation.go_on(backend, reply.id, SIX)
    seen, asked = 0, store.asked
    while seen < 6:
        version = generation.snapshot().version
        before, growing = conversation.traces(reply.id)
        assert before is not None and before.token_ids == reply.ids
        tokens = len(growing) if growing else 0
        assert tokens >= seen
        if growing:
            assert growing.token_ids == tuple(s.token_id for s in generation.steps()[:tokens])
        seen = tokens
        gate.release()
        assert seen == 6 or generation.wait_for_change(version, 10)
    generation.result(10)
    whole = conversation.traces(reply.id)
    assert [trace and len(trace) for trace in whole] == [6, 6]
    assert store.asked == asked
    assert conversation.tree[reply.id].runs[-1].ending is Ending.LENGTH


def test_what_was_forgotten_is_read_from_the_store_once(
    kept: Library, store: CountingStore, make_backend: MakeBackend, tmp_path: Path
) -> None:
    """And the store may be away for what is in memory, not for the rest."""
    conversation, reply = written(kept, make_backend(babble), runs=2)
    live = conversation.traces(reply.id)
    kept.close()
    store = CountingStore(open_store(tmp_path / "kept.db").database)
    again = Library(store)
    found = again.find(ME, conversation.id)
    assert found is not None
    store.away = True
    with pytest.raises(StoreError, match="not there"):
        found.traces(reply.id)
    store.away = False
    for _ in range(3):
        traces = found.traces(reply.id)
        assert ids_of(traces) == ids_of(live)
        assert store.asked == 2
        store.away = True
    one, two = traces[1], live[1]
    assert one is not None and two is not None
    assert (one.prompt, one.seed, one.texts) == (two.prompt, two.seed, two.texts)
    np.testing.assert_array_equal(one.columns.logits, two.columns.logits)
    again.close()


def test_a_trace_is_there_before_it_is_kept(
    store: CountingStore, make_backend: MakeBackend
) -> None:
    """Half a second lies between the end of a reply and its place in the store."""
    library = Library(store)
    conversation, reply = written(library, make_backend(babble))
    store.away = True
    assert ids_of(conversation.traces(reply.id)) == [reply.ids]
    library.close()


def test_a_trace_that_another_process_has_added_to_is_read_anew(
    kept: Library, store: CountingStore, make_backend: MakeBackend
) -> None:
    """What is in memory is a reply's as it was: its turn says how many tokens there are now."""
    conversation, reply = written(kept, make_backend(babble), runs=2)
    whole = conversation.traces(reply.id)
    cache = TraceCache(store)
    asked = store.asked
    assert reply.ids is not None
    first = Run(reply.runs[0].params, ending=Ending.INTERRUPTED)
    killed = Node(reply.id, reply.parent, "assistant", "", reply.ids[:4], 0, (first,))
    for _ in range(2):
        assert ids_of(cache.traces(ME, conversation.id, killed, 1)) == ids_of(whole[:1])
    assert store.asked == asked + 2, "four tokens are not those six"


def test_the_newest_tokens_stay_in_memory_where_there_is_no_store(
    make_backend: MakeBackend,
) -> None:
    backend = make_backend(babble)
    library = Library()
    library._traces = TraceCache(most=24)
    several = [written(library, backend) for _ in range(5)]
    there = [ids_of(conversation.traces(reply.id)) for conversation, reply in several]
    assert there == [[None], [None], *[[reply.ids] for _, reply in several[2:]]]
    # Whoever was looked at last goes last.
    several[2][0].traces(several[2][1].id)
    several.append(written(library, backend))
    there = [ids_of(conversation.traces(reply.id)) for conversation, reply in several]
    assert [tokens != [None] for tokens in there] == [False, False, True, False, True, True]


def test_one_trace_stays_however_long_it_is(make_backend: MakeBackend) -> None:
    backend = make_backend(babble)
    library = Library()
    library._traces = TraceCache(most=2)
    (old, first), (new, second) = (written(library, backend) for _ in range(2))
    assert ids_of(old.traces(first.id)) == [None]
    assert ids_of(new.traces(second.id)) == [second.ids]


def test_a_reply_that_was_not_recorded_has_no_trace(
    either: Library, make_backend: MakeBackend
) -> None:
    conversation, _ = written(either, make_backend(babble))
    exported = as_json([conversation.live.saved_with_progress])
    imported = import_file(exported.encode()).conversations[0]
    found = either.find(ME, either.add(ME, replace(imported, id="another")))
    assert found is not None
    assert found.traces(last(found).id) == (None,)


def test_a_conversation_with_branches_leaves_and_comes_as_it_is(
    either: Library, make_backend: MakeBackend
) -> None:
    backend = make_backend(babble)
    conversation, reply = written(either, backend, runs=2)
    conversation.branch(backend, reply.id, 8, SIX)
    answered(conversation)
    written_file = as_json([conversation.live.saved_with_progress])
    assert as_json(import_file(written_file.encode()).conversations) == written_file
    if either.store is not None:
        either.close()
        store = open_store(either.store.place)
        kept = replace(store.load(ME, conversation.id), updated=conversation.saved.updated)
        assert as_json([kept]) == written_file
        store.close()
