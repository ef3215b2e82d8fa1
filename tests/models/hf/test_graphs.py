"""Buckets, padding and the table that a captured graph reads; only the capture itself needs CUDA.

Here a "graph" calls the function again, so that what it computes from is what a real one would
have in its memory: the table, and nothing of the rows.
"""

import logging
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glasschat.models.base import ForwardRow
from glasschat.models.hf import graphs as hf_graphs
from glasschat.models.hf.graphs import Replay, bucket, recompute
from glasschat.models.hf.runner import HfRunner
from tests.support.hf_families import TOLERANCE, VOCAB, Conversations, converse, ours, stock


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that short sequences go through several."""
    monkeypatch.setattr(hf_graphs, "SHORTEST_BUCKET", 16)


@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma2", "gemma3_text"])
def test_decoding_through_graphs_equals_each_sequence_alone(kind: str) -> None:
    """Windows and caps too, in buckets of rows and lengths that none of them fills."""
    model = stock(kind)
    runner = ours(model, capture=recompute)
    conversations = Conversations(model, runner)
    converse(conversations)
    conversations.truncate(2, 3)
    conversations.step((2, 1))
    assert conversations.worst < TOLERANCE
    assert runner._graphs is not None
    assert {rows for rows, _ in runner._graphs.buckets} >= {2, 4}
    assert len({length for _, length in runner._graphs.buckets}) > 1


def test_a_model_that_unpacks_its_cache_goes_without_graphs() -> None:
    """A graph would unpack all slots up to the last position, in every layer of every step."""
    model = stock("deepseek_v3")
    runner = ours(model, capture=recompute)
    assert runner._graphs is None
    widths: list[Any] = []
    attention = runner._module.model.layers[0].self_attn
    unpack = attention.expand_kv
    attention.expand_kv = lambda *packed: (widths.append(packed[0].shape), unpack(*packed))[1]
    conversations = Conversations(model, runner)
    conversations.step((1, 9), (0, 3))
    assert conversations.worst < TOLERANCE
    assert widths == [(2, 1, 9, 8)]


def test_a_bucket_is_captured_once() -> None:
    captured: list[Replay] = []

    def counting(function: Replay) -> Replay:
        captured.append(function)
        return function

    runner = ours(stock("llama"), capture=counting)
    for start in range(10):
        runner.forward([ForwardRow(slot, start, [5 + slot], True) for slot in (0, 2, 3)])
    assert len(captured) == 1


def test_padding_touches_no_slot() -> None:
    """Three rows in a bucket of four: the fourth is computed and must leave no trace."""
    runner = ours(stock("llama"), capture=recompute)
    for slot in range(4):
        runner.forward([ForwardRow(slot, 0, [7, 8, 9], True)])
    before = slots_of(runner)
    runner.forward([ForwardRow(slot, 3, [11], True) for slot in (0, 1, 3)])
    changed = {
        (slot, position)
        for old, new in zip(before, slots_of(runner), strict=True)
        for slot, _, position, _ in torch.nonzero(old != new).tolist()
    }
    assert changed == {(0, 3), (1, 3), (3, 3)}


def test_a_capture_that_fails_costs_speed_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(_: Replay) -> Replay:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    model = stock("llama")
    conversations = Conversations(model, ours(model, capture=failing))
    with caplog.at_level(logging.WARNING, logger="glasschat"):
        converse(conversations)
    assert conversations.worst < TOLERANCE
    assert [record.message for record in caplog.records] == [
        "decoding goes on without CUDA graphs, and is slower: CUDA error: operation not permitted "
        "when stream is capturing"
    ]


def test_chunks_and_rows_without_logits_go_without_a_graph() -> None:
    runner = ours(stock("llama"), capture=recompute)
    runner.forward([ForwardRow(0, 0, [5, 6], True), ForwardRow(1, 0, [5], True)])
    assert runner.forward([ForwardRow(1, 1, [5], False)]).shape == (0, VOCAB)
    assert runner._graphs is not None
    assert runner._graphs.buckets == []


@given(st.integers(1, 5000), st.sampled_from([1, 16, 512]), st.sampled_from([64, 1000, 8192]))
def test_a_bucket_holds_what_it_is_for(wanted: int, smallest: int, most: int) -> None:
    size = bucket(wanted, smallest, most)
    assert min(wanted, most) <= size <= most
    assert size < 2 * max(wanted, smallest)


def slots_of(runner: HfRunner) -> list[Any]:
    return [store.view.clone() for pair in runner._cache._stores.values() for store in pair]


def test_logits_of_a_graph_come_in_the_order_of_the_rows() -> None:
    model = stock("llama")
    graphs, eager = ours(model, capture=recompute), ours(model)
    rows = [ForwardRow(slot, 0, [3 + slot], True) for slot in (3, 0, 2)]
    assert np.abs(graphs.forward(rows) - eager.forward(rows)).max() < TOLERANCE
