"""How each token was chosen is kept beside its reply, number for number, and goes with it."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from glasschat.backends import LocalBackend
from glasschat.chat.node import Ending, Node, Run, new_id
from glasschat.chat.store import ReplyWriter, Store, StoredReply
from glasschat.chat.store.schema import prompts, traces
from glasschat.chat.store.trace_packing import pack_steps, unpack_steps
from glasschat.chat.tree import Tree
from glasschat.config import ModelOptions
from glasschat.engine import Engine, Step
from glasschat.errors import ConversationNotFound, StoreDamaged, StoreError
from glasschat.glass import Trace
from glasschat.models.base import Logits
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import END, HEADER_END, scripted_model
from glasschat.prompt import ChatMessage, OpenReply, PromptEncoding, Span
from glasschat.sampling import Columns, SamplingParams, StepRecord
from tests.chat.store.conftest import ME
from tests.sampling.choosing import PARAMS, sampler, told
from tests.sampling.rows import Row, rows
from tests.support.generations import ManualGeneration

NEVER_S = 3600.0
PROMPT = PromptEncoding(
    (*b"Hi", HEADER_END), (Span(0, 2, "user", 0), Span(2, 3, "template", None)), None, (3, 4)
)
SETTINGS = SamplingParams(seed=5, temperature=1.3, top_p=0.95, max_new_tokens=40, ignore_eos=True)


def babble(ids: Sequence[int]) -> Logits:
    """Scores that depend on the last two ids alone."""
    return np.random.default_rng(list(ids[-2:])).normal(0, 3, 260).astype(np.float32)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(scripted_model(babble, slots=2)) as engine:
        yield engine


def begun(store: Store, run: Run) -> tuple[str, str, StoredReply]:
    """A conversation with a reply about to grow: its id, the reply's, and the reply."""
    conversation = store.create(ME).id
    asked = Node(new_id(), None, "user", "Hi")
    reply = Tree((asked,)).reply(asked.id, new_id(), run).last
    assert reply is not None
    return conversation, reply.id, store.begin_reply(ME, conversation, reply, question=asked)


def same(left: StepRecord, right: StepRecord) -> bool:
    """Whether two records are equal in every bit."""
    for item in fields(StepRecord):
        ours, theirs = getattr(left, item.name), getattr(right, item.name)
        if isinstance(ours, np.ndarray):
            if ours.dtype != theirs.dtype or ours.tobytes() != theirs.tobytes():
                return False
        elif ours != theirs:
            return False
    return True


@given(st.lists(rows(1100), min_size=1, max_size=3), PARAMS, st.integers(0, 2))
def test_records_come_back_bit_by_bit(
    few_rows: list[Row], params: dict[str, Any], forced: int
) -> None:
    steps = []
    for number, row in enumerate(few_rows):
        chooser = sampler(row, **params)
        choice = chooser.force(row, 0) if number == forced else chooser.sample(row)
        steps.append(Step(choice.token_id, "é\x00"[: number % 3], told(choice)))
    columns, texts = unpack_steps(pack_steps(steps))
    assert texts == tuple(step.text for step in steps)
    for step, record in zip(steps, columns.records(), strict=True):
        assert step.record is not None and same(step.record, record)


def test_what_a_stage_measured_comes_back() -> None:
    row = np.linspace(-3.0, 3.0, 100).astype(np.float32)
    record = told(sampler(row, top_n_sigma=1.0).sample(row))
    assert any(stage.measured is not None for stage in record.stages)
    (back,) = unpack_steps(pack_steps([Step(1, "", record)]))[0].records()
    assert back.stages == record.stages


def test_what_is_kept_of_a_reply_is_what_its_handle_has(store: Store, engine: Engine) -> None:
    conversation, reply, stored = begun(store, Run(SETTINGS))
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = engine.submit(PROMPT, SETTINGS)
    writer.follow(stored, generation)
    generation.result(10)
    writer.close()
    (kept,) = store.traces(ME, conversation, reply)
    live = Trace.of(generation)
    assert kept is not None and live is not None
    assert (kept.prompt, kept.params, kept.seed) == (PROMPT, SETTINGS, 5)
    assert (kept.end_ids, kept.vocab_size) == (frozenset({END}), 260)
    assert kept.texts == live.texts
    steps = generation.steps()
    assert len(kept) == len(steps) == 40
    for place, step in enumerate(steps):
        assert step.record is not None and same(kept.record(place), step.record)


def test_a_growing_reply_has_its_trace_as_far_as_its_text(store: Store) -> None:
    conversation, reply, stored = begun(store, Run(SETTINGS))
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = by_hand()
    writer.follow(stored, generation)
    told_so_far = 0
    for count in (1, 4, 9):
        grow(generation, count - told_so_far)
        grow(generation, 1, text=False)
        writer.flush()
        told_so_far = count + 1
        (trace,) = store.traces(ME, conversation, reply)
        node = store.load(ME, conversation).tree[reply]
        assert trace is not None and node.ids is not None
        assert trace.token_ids == node.ids and trace.text == node.text
    writer.close()
    node = store.load(ME, conversation).tree[reply]
    (trace,) = store.traces(ME, conversation, reply)
    assert trace is not None and node.runs[0].ending is Ending.INTERRUPTED
    assert trace.token_ids == tuple(step.token_id for step in generation.steps())


def test_every_run_of_a_reply_has_its_own(store: Store, engine: Engine) -> None:
    writer = ReplyWriter(store, every_s=NEVER_S)
    first = SamplingParams(seed=5, max_new_tokens=6, ignore_eos=True)
    conversation, reply, stored = begun(store, Run(first))
    generation = engine.submit(PROMPT, first)
    writer.follow(stored, generation)
    generation.result(10)
    writer.flush()
    node = store.load(ME, conversation).tree[reply]
    ids, text = node.ids or (), node.text
    second = SamplingParams(seed=6, max_new_tokens=3, ignore_eos=True)
    tree = store.load(ME, conversation).tree.go_on(reply, Run(second))
    going_on = PromptEncoding(
        (*PROMPT.ids, *ids),
        (*PROMPT.spans, Span(3, 3 + len(ids), "assistant", 1)),
        OpenReply(len(ids), text),
    )
    more = engine.submit(going_on, second)
    writer.follow(store.begin_reply(ME, conversation, tree[reply]), more)
    more.result(10)
    writer.close()
    one, two = store.traces(ME, conversation, reply)
    assert one is not None and two is not None
    assert (len(one), one.seed, one.earlier) == (6, 5, 0)
    assert (len(two), two.seed, two.earlier) == (3, 6, 6)
    assert two.prompt == going_on
    assert one.token_ids + two.token_ids == store.load(ME, conversation).tree[reply].ids
    assert one.text + two.text == store.load(ME, conversation).tree[reply].text


def test_a_reply_without_records_has_no_trace(store: Store, engine: Engine) -> None:
    conversation, reply, stored = begun(store, Run(SETTINGS))
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = engine.submit(PROMPT, SETTINGS, trace=False)
    writer.follow(stored, generation)
    generation.result(10)
    writer.close()
    assert store.traces(ME, conversation, reply) == (None,)
    with pytest.raises(ConversationNotFound):
        store.traces("somebody else", conversation, reply)


def test_a_trace_goes_with_its_conversation(store: Store, engine: Engine) -> None:
    conversation, _, stored = begun(store, Run(SETTINGS))
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = engine.submit(PROMPT, SETTINGS)
    writer.follow(stored, generation)
    generation.result(10)
    writer.close()
    assert counts(store) == (1, 1)
    store.delete(ME, conversation)
    store.clear_up(2**62)
    assert counts(store) == (0, 0)


def test_a_reply_that_nobody_keeps_any_more_gets_no_trace(store: Store) -> None:
    conversation, reply, stored = begun(store, Run(SETTINGS))
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = by_hand()
    writer.follow(stored, generation)
    store.delete(ME, conversation)
    store.clear_up(2**62)
    grow(generation, 3)
    writer.flush()
    writer.close()
    assert counts(store) == (0, 0)
    with pytest.raises(StoreError):
        store.traces(ME, conversation, reply)


def test_damaged_traces_are_named(store: Store, engine: Engine) -> None:
    conversation, reply, stored = begun(store, Run(SETTINGS))
    writer = ReplyWriter(store, every_s=NEVER_S)
    generation = engine.submit(PROMPT, SETTINGS)
    writer.follow(stored, generation)
    generation.result(10)
    writer.close()
    with store.database.read() as connection:
        whole = bytes(connection.execute(select(traces.c.steps)).scalar_one())
    for spoilt in (b"", whole[:50], b"\x09" + whole[1:], whole[:11] + zlib.compress(b"[[],[]]")):
        with store.database.write() as connection:
            connection.execute(traces.update().values(steps=spoilt))
        with pytest.raises(StoreDamaged, match="how this reply was chosen"):
            store.traces(ME, conversation, reply)


@pytest.mark.parity
def test_a_token_of_the_real_model_takes_a_third_of_a_kilobyte(builtin_model_path: Path) -> None:
    """The bound is 1 KB a token, also for a model so slow that each token is written alone."""
    plan = plan_model(ModelOptions(path=builtin_model_path, slots=1, context=512))
    backend = LocalBackend(lambda progress: load_model(plan, progress), name="real")
    with backend:
        backend.load()
        asked = [ChatMessage("user", "Tell me about bridges.")]
        generation = backend.start(asked, SamplingParams(seed=3, max_new_tokens=70))
        generation.result(100)
    steps = generation.steps()
    assert len(pack_steps(steps)) / len(steps) < 400
    alone = [len(pack_steps([step])) for step in steps]
    assert max(alone) < 1000


ROW = np.random.default_rng(1).normal(0, 2, 300).astype(np.float32)


def by_hand() -> ManualGeneration:
    """A handle that no engine has: its tokens are appended by hand."""
    from glasschat.engine.request import GenerationRequest

    request = GenerationRequest(PROMPT, SETTINGS, 100, frozenset({END}), 300)
    generation = ManualGeneration(request)
    generation.writer.seed = 5
    return generation


def grow(generation: ManualGeneration, count: int, *, text: bool = True) -> None:
    """Append the next tokens, with their text or while it is still to come."""
    chooser = sampler(ROW)
    for _ in range(count):
        choice = chooser.sample(ROW)
        said = f"{choice.token_id} " if text else ""
        generation.writer.append(Step(choice.token_id, said, choice.record))


def counts(store: Store) -> tuple[int, int]:
    """How many rows there are of prompts and of traces."""
    with store.database.read() as connection:
        found = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (prompts, traces)
        ]
    return found[0], found[1]


def test_columns_of_other_stages_do_not_mix() -> None:
    one, two = (told(sampler(ROW, **p).sample(ROW)) for p in ({}, {"top_k": 3}))
    with pytest.raises(ValueError, match="same stages"):
        Columns.of([one, two])
    with pytest.raises(ValueError, match="same stages"):
        Columns.joined([Columns.of([one]), Columns.of([two])])
