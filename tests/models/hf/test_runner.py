"""The contract of a runner, and what happens when a forward goes wrong."""

import copy
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glasschat.engine import Engine, FinishReason, reset_runner
from glasschat.errors import NotEnoughMemory, ReplyFailed
from glasschat.models.base import ForwardRow, Model, ModelInfo
from glasschat.models.hf import cache
from glasschat.models.hf.runner import HfRunner
from glasschat.models.scripted import ScriptedTokenizer
from glasschat.sampling import SamplingParams
from tests.support.hf_families import CONTEXT, TOLERANCE, VOCAB, Conversations, ours, stock

GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0, ignore_eos=True, max_new_tokens=20)
SHORT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    MemoryError(),
]


@contextmanager
def failing(module: Any, error: BaseException, when: Callable[[Any], bool]) -> Iterator[None]:
    """The last layer raises `error` when a forward's positions are so: others have run by then."""
    given: list[Any] = []

    def remember(_module: Any, _args: Any, options: dict[str, Any]) -> None:
        given[:] = [options["position_ids"]]

    def fail(*_: Any) -> None:
        if when(given[0]):
            raise error

    hooks = [
        module.register_forward_pre_hook(remember, with_kwargs=True),
        module.model.layers[-1].mlp.register_forward_pre_hook(fail),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("error", SHORT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_leaves_every_slot_as_it_was(error: BaseException) -> None:
    model = stock("llama")
    runner = ours(model)
    conversations = Conversations(model, runner)
    conversations.step((0, 9), (1, 5))
    with (
        failing(runner._module, error, lambda _: True),
        pytest.raises(ReplyFailed, match=r"cpu ran out of memory: .*--context"),
    ):
        runner.forward([ForwardRow(0, 9, [4], True), ForwardRow(2, 0, [5, 6, 7], True)])
    assert [runner.cached_length(slot) for slot in range(4)] == [9, 5, 0, 0]
    conversations.step((0, 1), (1, 1), (2, 4))
    assert conversations.worst < TOLERANCE


def tiny_model(model: Any) -> Model:
    info = ModelInfo("tiny", Path("tiny"), "llama", "float32", 0, 0, CONTEXT, 260)
    return Model(info, ScriptedTokenizer(), ours(model))


def test_out_of_memory_while_running_fails_one_reply_and_keeps_its_text() -> None:
    """Two replies at once, and from a length on there is no room for the longer one."""
    with Engine(tiny_model(stock("llama", vocab_size=260))) as engine:
        longer, shorter = [*b"Good morning"], [*b"Hello"]
        free = [ids_of(engine, prompt) for prompt in (longer, shorter)]
        runner = engine.model.runner
        assert isinstance(runner, HfRunner)
        error = torch.OutOfMemoryError("CUDA out of memory")
        with failing(runner._module, error, lambda positions: bool((positions >= 27).any())):
            generations = [engine.submit(prompt, GREEDY) for prompt in (longer, shorter)]
            for generation in generations:
                assert generation.wait_for_end(60)
        broken, other = generations
        assert broken.snapshot().finish_reason is FinishReason.ERROR
        assert "ran out of memory" in (broken.snapshot().error or "")
        assert [step.token_id for step in broken.steps()] == free[0][:16]
        assert broken.snapshot().text
        assert [step.token_id for step in other.steps()] == free[1]
        assert [ids_of(engine, prompt) for prompt in (longer, shorter)] == free
        assert engine.stats().repairs == 0


def ids_of(engine: Engine, prompt: list[int]) -> list[int]:
    generation = engine.submit(prompt, GREEDY)
    assert generation.result(60).finish_reason is FinishReason.LENGTH
    return [step.token_id for step in generation.steps()]


@pytest.mark.parametrize(
    "row",
    [
        ForwardRow(0, 4, [5], True),
        ForwardRow(0, 2, [5], True),
        ForwardRow(0, 3, [5] * CONTEXT, True),
        ForwardRow(0, 3, [], True),
        ForwardRow(0, 3, [VOCAB], True),
        ForwardRow(0, 3, [-1], True),
    ],
    ids=["gap", "overlap", "overflow", "empty", "unknown token", "negative token"],
)
def test_rows_that_cannot_be_are_refused_before_anything_is_computed(row: ForwardRow) -> None:
    """On CUDA an unknown token would end the process's use of the GPU."""
    model = stock("llama")
    conversations = Conversations(model, ours(model))
    conversations.step((0, 3))
    with pytest.raises(ReplyFailed):
        conversations.runner.forward([ForwardRow(1, 0, [5], True), row])
    conversations.step((0, 1), (1, 1))
    assert conversations.worst < TOLERANCE


def test_numbers_that_are_none_do_not_reach_another_sequence() -> None:
    """A reply that overflowed leaves NaN in its slot, where a longer neighbour's mask ends."""
    model = stock("llama")
    broken = copy.deepcopy(model)
    broken.model.embed_tokens.weight.data[7] = float("nan")
    runner = ours(broken)
    conversations = Conversations(model, runner)
    conversations.step((0, 20))
    row = runner.forward([ForwardRow(1, 0, [5, 7, 5, 7, 7, 7, 7, 7], True)])
    assert np.isnan(row).all()
    # This is what the engine does with a slot that failed.
    assert runner.truncate(1, 0)
    conversations.ids[1] = [5, 6]
    assert not np.isnan(runner.forward([ForwardRow(1, 0, [5, 6], True)])).any()
    logits = runner.forward([ForwardRow(0, 20, [9], True), ForwardRow(1, 2, [9], True)])
    assert not np.isnan(logits).any()


@pytest.fixture
def halfway() -> HfRunner:
    """Slot 0 holds the first part of a prompt that overflowed, slot 1 that of a sound one."""
    broken = copy.deepcopy(stock("llama"))
    broken.model.embed_tokens.weight.data[7] = float("nan")
    runner = ours(broken)
    first, second = ForwardRow(0, 0, [5, 6, 7, 8], False), ForwardRow(1, 0, [5, 6, 9, 8], False)
    assert runner.forward([first, second]).shape == (0, VOCAB)
    return runner


def is_clean(runner: HfRunner, slot: int) -> bool:
    stores = [store for pair in runner._cache._stores.values() for store in pair]
    return all(bool(torch.isfinite(store.view[slot]).all()) for store in stores)


def test_a_prompt_cancelled_halfway_leaves_nothing_that_is_no_number(halfway: HfRunner) -> None:
    """It had no logits yet that could have shown it."""
    assert not is_clean(halfway, 0)
    assert not halfway.truncate(0, 2)
    assert (halfway.cached_length(0), is_clean(halfway, 0)) == (0, True)


def test_a_sound_prompt_cancelled_halfway_is_gone_on_with(halfway: HfRunner) -> None:
    assert halfway.truncate(1, 3)
    logits = halfway.forward([ForwardRow(1, 3, [4], True)])
    alone = ours(stock("llama")).forward([ForwardRow(0, 0, [5, 6, 9, 4], True)])
    assert np.abs(logits - alone).max() < TOLERANCE


def test_nothing_is_copied_out_of_a_prompt_that_overflowed(halfway: HfRunner) -> None:
    assert not halfway.copy_prefix(0, 2, 4)
    assert (halfway.cached_length(2), is_clean(halfway, 2)) == (0, True)
    assert halfway.copy_prefix(1, 2, 4)
    assert halfway.cached_length(2) == 4


def test_a_copy_leaves_nothing_of_what_was_there(halfway: HfRunner) -> None:
    assert halfway.copy_prefix(1, 0, 2)
    assert (halfway.cached_length(0), is_clean(halfway, 0)) == (2, True)


def test_logits_prove_the_prompt_before_them(
    halfway: HfRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reply leaves is not looked through: that would cost each turn a pass over it."""
    halfway.forward([ForwardRow(1, 4, [4], True)])
    monkeypatch.setattr(halfway._cache, "is_finite", lambda _: pytest.fail("looked through"))
    assert halfway.truncate(1, 4)


def test_logits_of_a_padded_embedding_are_cut() -> None:
    """A row that is longer than the vocabulary would offer tokens without a text."""
    model = stock("llama")
    runner = ours(model, vocab_size=VOCAB - 10)
    assert runner.vocab_size == VOCAB - 10
    logits = runner.forward([ForwardRow(0, 0, [5], True)])
    assert logits.shape == (1, VOCAB - 10)
    assert logits.dtype == np.float32


def test_rows_that_want_no_logits_get_none() -> None:
    runner = ours(stock("llama"))
    assert runner.forward([ForwardRow(0, 0, [5, 6], False)]).shape == (0, VOCAB)
    both = runner.forward([ForwardRow(1, 0, [5, 6, 8], True), ForwardRow(0, 2, [8], False)])
    alone = ours(stock("llama")).forward([ForwardRow(0, 0, [5, 6, 8], True)])
    assert np.abs(both - alone).max() < TOLERANCE


def test_closing_gives_the_memory_back() -> None:
    module = stock("llama")
    runner = HfRunner(module, slots=2, context=CONTEXT, device="cpu")
    runner.forward([ForwardRow(0, 0, [5, 6], True)])
    assert runner.cache_bytes == 2 * 4 * 2 * CONTEXT * 2 * 8 * 4
    held = [weakref.ref(module)]
    held += [weakref.ref(s.lines) for pair in runner._cache._stores.values() for s in pair]
    del module
    gc.collect()
    assert all(ref() is not None for ref in held)
    runner.close()
    runner.close()
    assert [ref() for ref in held] == [None] * len(held)


def test_a_cache_that_does_not_fit_is_refused_and_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = stock("llama")
    held = weakref.ref(module)
    zeros = torch.zeros

    def scarce(shape: Any, **options: Any) -> Any:
        if isinstance(shape, tuple) and shape[0] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return zeros(shape, **options)

    monkeypatch.setattr(cache.torch, "zeros", scarce)
    with pytest.raises(NotEnoughMemory, match=r"2 slots of 64 tokens .* fewer --slots"):
        HfRunner(module, slots=2, context=CONTEXT, device="cpu")
    del module
    gc.collect()
    assert held() is None


def test_threads_are_set_for_the_thread_that_computes() -> None:
    """torch keeps their number for each thread: what the loading thread set does not count."""
    before = torch.get_num_threads()
    runner = ours(stock("llama"), threads=1)
    runner.forward([ForwardRow(0, 0, [5], True)])
    seen: list[int] = []
    runner._module.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))

    def compute() -> None:
        torch.set_num_threads(2)
        runner.forward([ForwardRow(0, 1, [5], True)])

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    torch.set_num_threads(before)
    assert seen == [1]


def test_an_engine_that_comes_after_another_finds_every_slot_empty() -> None:
    model = stock("llama")
    runner = ours(model)
    before = Conversations(model, runner)
    before.step((0, 9), (2, 5))
    reset_runner(runner)
    assert [runner.cached_length(slot) for slot in range(4)] == [0, 0, 0, 0]
    after = Conversations(model, runner)
    after.step((0, 7), (2, 6), (3, 1))
    assert after.worst < TOLERANCE
    error = RuntimeError("CUDA error: device-side assert triggered")
    with failing(runner._module, error, lambda _: True), pytest.raises(ReplyFailed, match="CUDA"):
        reset_runner(runner)
