"""A reply that begins as another one does has that one's traces, in the same transaction."""

import zlib
from collections.abc import Sequence

import pytest
from sqlalchemy import select, update

from glasschat.chat.branching import runs_before
from glasschat.chat.node import Ending, Node, Run, new_id
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.store.replies import StoredReply
from glasschat.chat.store.schema import prompts, runs, traces
from glasschat.engine import FinishReason
from glasschat.glass import Trace
from tests.chat.store.conftest import ME
from tests.chat.store.test_traces import NEVER_S, SETTINGS, begun, by_hand, counts, grow, same

PARTS = (5, 5, 3)


def written(store: Store) -> tuple[str, str]:
    """A reply of 13 tokens, and 13 more in a second run, kept in parts: its conversation and id."""
    writer = ReplyWriter(store, every_s=NEVER_S)
    conversation, reply, stored = begun(store, Run(SETTINGS))
    for _ in range(2):
        generation = by_hand()
        writer.follow(stored, generation)
        for count in PARTS:
            grow(generation, count)
            writer.flush()
        generation.writer.finish(FinishReason.LENGTH)
        writer.flush()
        tree = store.load(ME, conversation).tree
        if len(tree[reply].runs) == 1:
            stored = store.begin_reply(ME, conversation, tree.go_on(reply, Run(SETTINGS))[reply])
    writer.close()
    return conversation, reply


def branch(store: Store, conversation: str, source_id: str, place: int) -> tuple[Node, StoredReply]:
    """A reply that leaves another at that token, about to grow."""
    source = store.load(ME, conversation).tree[source_id]
    assert source.ids is not None
    text = "".join(f"{token_id} " for token_id in source.ids[:place])
    own = Run(SETTINGS, first_token=place)
    ids, before = source.ids[:place], runs_before(source, place)
    node = Node(new_id(), source.parent, "assistant", text, ids, runs=(*before, own))
    return node, store.begin_reply(ME, conversation, node, branch_of=source_id)


def records(found: Sequence[Trace | None]) -> list[object]:
    """Every record with its text."""
    return [
        (text, trace.record(place))
        for trace in found
        if trace is not None
        for place, text in enumerate(trace.texts)
    ]


@pytest.mark.parametrize("place", [1, 5, 7, 13, 14, 25])
def test_a_branch_has_the_traces_of_what_it_shares(store: Store, place: int) -> None:
    """Cut at the end of what was written at once, within it, and between two runs."""
    conversation, like = written(store)
    original = store.traces(ME, conversation, like)
    whole = records(original)
    node, stored = branch(store, conversation, like, place)
    found = store.traces(ME, conversation, node.id)
    assert len(found) == len(node.runs) and found[-1] is None
    copied = records(found)
    assert len(copied) == place
    for (text, record), (old_text, old) in zip(copied, whole, strict=False):  # type: ignore[misc]
        assert text == old_text and same(record, old)
    for trace, old_trace in zip(found[:-1], original, strict=False):
        assert trace is not None and old_trace is not None
        assert (trace.prompt, trace.seed, trace.params) == (
            old_trace.prompt,
            old_trace.seed,
            old_trace.params,
        )
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = by_hand()
    writer.follow(stored, generation)
    grow(generation, 4)
    generation.writer.finish(FinishReason.LENGTH)
    writer.close()
    kept = store.load(ME, conversation).tree[node.id]
    assert kept.ids is not None and len(kept.ids) == place + 4
    assert kept.text == node.text + generation.snapshot().text
    assert [run.first_token for run in kept.runs] == [run.first_token for run in node.runs]
    assert len(records(store.traces(ME, conversation, node.id))) == place + 4
    assert records(store.traces(ME, conversation, like))[-1][0] == whole[-1][0]  # type: ignore[index]


def test_a_branch_whose_writer_was_killed_keeps_what_it_shares(store: Store) -> None:
    conversation, like = written(store)
    node, stored = branch(store, conversation, like, 7)
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = by_hand()
    writer.follow(stored, generation)
    grow(generation, 4)
    writer.flush()
    with store.database.write() as connection:
        gone = {"writer": "another|1|ended|0", "heartbeat": 0}
        connection.execute(update(runs).where(runs.c.number == stored.run).values(gone))
    store.interrupt_abandoned()
    kept = store.load(ME, conversation).tree[node.id]
    assert [run.ending for run in kept.runs] == [Ending.LENGTH, Ending.INTERRUPTED]
    assert kept.text == node.text + generation.snapshot().text
    assert kept.ids is not None and len(kept.ids) == 11
    assert len(records(store.traces(ME, conversation, node.id))) == 11


def test_what_was_not_recorded_or_is_damaged_is_not_copied(store: Store) -> None:
    conversation, like = written(store)
    with store.database.write() as connection:
        first = connection.execute(
            select(traces.c.run).order_by(traces.c.run).limit(1)
        ).scalar_one()
        spoilt = {"steps": zlib.compress(b"nonsense")[:4]}
        connection.execute(update(traces).where(traces.c.run == first).values(spoilt))
    before = counts(store)
    node, _ = branch(store, conversation, like, 9)
    assert counts(store) == before
    assert store.traces(ME, conversation, node.id) == (None, None)
    with store.database.write() as connection:
        connection.execute(traces.delete())
        connection.execute(prompts.delete())
    node, _ = branch(store, conversation, like, 9)
    assert store.traces(ME, conversation, node.id) == (None, None)


def test_a_branch_of_what_is_no_longer_there_is_kept_all_the_same(store: Store) -> None:
    conversation, like = written(store)
    node, _ = branch(store, conversation, like, 9)
    other = Node(new_id(), node.parent, "assistant", node.text, node.ids, runs=node.runs)
    store.begin_reply(ME, conversation, other, branch_of="nobody")
    assert store.load(ME, conversation).tree[other.id].text == node.text
    assert store.traces(ME, conversation, other.id) == (None, None)
