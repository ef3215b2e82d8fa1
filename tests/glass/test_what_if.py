"""What other settings would have made of a reply is what they truly make of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.backends import LocalBackend
from glasschat.config import ModelOptions
from glasschat.engine import Engine, FinishReason, StartOptions
from glasschat.glass import Trace, what_if
from glasschat.models.base import Logits
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import END, HEADER_END, scripted_model
from glasschat.prompt import ChatMessage, PromptEncoding, Span
from glasschat.sampling import DEFAULT_ORDER, SamplingParams
from tests.glass.recordings import SETTINGS, record
from tests.sampling.rows import make_row

PROMPT = PromptEncoding((*b"Hi", HEADER_END), (Span(0, 3, "template", None),))
TIMEOUT_S = 60


def babble(ids: Sequence[int]) -> Logits:
    """Scores that depend on the last two ids alone: a few good ones, and a tail."""
    random = np.random.default_rng(list(ids[-2:]))
    row = random.normal(0, 1.5, 260)
    row[random.integers(0, 256, 6)] += 6
    row[END] = 1.0
    return row.astype(np.float32)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(scripted_model(babble)) as engine:
        yield engine


def written(
    engine: Engine, params: SamplingParams, prompt: PromptEncoding = PROMPT
) -> tuple[Trace | None, tuple[int, ...]]:
    generation = engine.submit(prompt, params)
    generation.wait_for_end(TIMEOUT_S)
    return Trace.of(generation), tuple(step.token_id for step in generation.steps())


def first_difference(one: Sequence[int], two: Sequence[int]) -> int | None:
    pairs = enumerate(zip(one, two, strict=False))
    return next((place for place, (left, right) in pairs if left != right), None)


@given(SETTINGS, SETTINGS, st.sampled_from([0, 4]))
def test_the_first_divergence_is_that_of_a_true_reply(
    engine: Engine, own: dict[str, Any], other: dict[str, Any], earlier: int
) -> None:
    prompt = PROMPT.with_open_reply(1, [97, 98, 97, 99][:earlier], "abac"[:earlier])
    params = SamplingParams(**own, max_new_tokens=30)
    trace, ids = written(engine, params, prompt)
    if trace is None:
        return
    others = SamplingParams(**(other | {"seed": own["seed"]}), max_new_tokens=30)
    found = what_if(trace, others)
    _, truly = written(engine, others, prompt)
    place = first_difference(ids, truly)
    if found.first is not None and found.exact:
        if len(truly) > found.first.place:
            assert place == found.first.place
            assert found.first.instead in (truly[place], None)
        else:
            assert found.ends_at is not None or len(truly) == 0, "or a stage left nothing"
    if found.first is None and not found.open_places:
        assert place is None
        if found.ends_at is None and truly:
            assert len(truly) >= len(ids)
    if found.ends_at is not None and (found.first is None or found.ends_at <= found.first.place):
        assert found.open_places or len(truly) == found.ends_at


@given(SETTINGS)
def test_the_same_settings_change_nothing(engine: Engine, own: dict[str, Any]) -> None:
    trace, _ = written(engine, SamplingParams(**own, max_new_tokens=12))
    if trace is not None:
        found = what_if(trace, trace.params)
        assert (found.divergences, found.open_places, found.ends_at) == ((), (), None)
        assert found.exact


def test_another_seed_draws_otherwise(engine: Engine) -> None:
    params = SamplingParams(seed=1, max_new_tokens=30, temperature=1.0, top_k=5, top_p=1.0)
    trace, ids = written(engine, params)
    assert trace is not None
    found = what_if(trace, replace(params, seed=2))
    _, truly = written(engine, replace(params, seed=2))
    assert found.first is not None and found.exact
    assert found.first.place == first_difference(ids, truly)


def test_a_token_chosen_by_hand_stays(engine: Engine) -> None:
    params = SamplingParams(seed=1, max_new_tokens=5)
    generation = engine.submit(PROMPT, params, start_options=StartOptions(forced=(200,)))
    generation.wait_for_end(TIMEOUT_S)
    trace = Trace.of(generation)
    assert trace is not None
    found = what_if(trace, replace(params, temperature=0.0))
    assert all(d.place > 0 for d in found.divergences)


@pytest.mark.parametrize(
    ("changed", "end"),
    [
        ({"max_new_tokens": 7}, 7),
        ({"max_length": 20}, 17),
        ({"stop": ("12 ", "7 8")}, 9),
        ({"stop_token_ids": (5,)}, 6),
        ({"stop_token_ids": (5,), "min_new_tokens": 11}, 16),
        ({"stop": ("3 ",), "min_new_tokens": 8}, 14),
        ({}, None),
    ],
)
def test_settings_that_end_the_reply_earlier_say_where(
    changed: dict[str, Any], end: int | None
) -> None:
    """Twenty tokens: 0 to 9, and once more."""
    rows = []
    for place in range(20):
        row = np.full(40, -5.0, np.float32)
        row[place % 10] = 20.0
        rows.append(row)
    params = SamplingParams(
        seed=1, repetition_penalty=1.0, max_length=10_000, temperature=0.0, ignore_eos=False
    )
    trace = record(rows, params).trace
    trace = replace(trace, prompt=PROMPT, end_ids=frozenset())
    assert what_if(trace, replace(params, **changed)).ends_at == end


def test_what_lies_beyond_the_candidates_is_said_to() -> None:
    """A flat row: what 64 candidates hold is not enough to say whom another draw takes."""
    flat = [make_row(seed, 9000, "normal", 0.01, 0.0) for seed in range(8)]
    params = SamplingParams(seed=1, temperature=1.0, top_p=1.0, repetition_penalty=1.0)
    trace = record(flat, params).trace
    found = what_if(trace, replace(params, temperature=1.5))
    assert not found.exact
    assert len(found.open_places) + len(found.divergences) == 8


@pytest.mark.parity
@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0.6},
        {"top_p": 0.85},
        {"repetition_penalty": 1.15},
        {"stages": tuple(reversed(DEFAULT_ORDER))},
        *(
            pytest.param(changed, marks=pytest.mark.slow)
            for changed in (
                {"temperature": 0.8},
                {"temperature": 0.0},
                {"top_p": 0.7},
                {"top_k": 3},
                {"min_p": 0.2},
                {"typical_p": 0.9},
                {"repetition_penalty": 1.01},
                {"presence_penalty": 0.5},
                {"frequency_penalty": 0.4},
                {"no_repeat_ngram_size": 3},
            )
        ),
    ],
)
def test_the_real_model_goes_where_it_was_said_to(
    real: LocalBackend, recorded: Trace, changed: dict[str, Any]
) -> None:
    params = replace(recorded.params, **changed)
    found = what_if(recorded, params)
    truly = real.start(ASKED, params)
    assert truly.result(TIMEOUT_S).finish_reason in (FinishReason.LENGTH, FinishReason.STOP)
    ids = tuple(step.token_id for step in truly.steps())
    place = first_difference(recorded.token_ids, ids)
    if found.exact:
        assert (found.first and found.first.place) == place
        assert found.first is None or place is None or found.first.instead == ids[place]
    else:
        # Before the first place that is left open nothing differs that was not said to.
        unsure = [d.place for d in found.divergences if not d.certain]
        assert place is None or place >= min([*unsure, *found.open_places])
    assert len(found.open_places) <= 3


ASKED = [ChatMessage("user", "Write a short story about a lighthouse.")]


@pytest.fixture(scope="module")
def real(builtin_model_path: Path) -> Iterator[LocalBackend]:
    plan = plan_model(ModelOptions(path=builtin_model_path, slots=1, context=512, exact=True))
    backend = LocalBackend(lambda progress: load_model(plan, progress), name="real", exact=True)
    with backend:
        backend.load()
        yield backend


@pytest.fixture(scope="module")
def recorded(real: LocalBackend) -> Trace:
    generation = real.start(ASKED, SamplingParams(seed=3, max_new_tokens=60))
    generation.result(TIMEOUT_S)
    trace = Trace.of(generation)
    assert trace is not None
    return trace
