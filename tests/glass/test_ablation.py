"""A setting that did nothing is said to have done nothing, and only then."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from glasschat.errors import ReplyFailed
from glasschat.glass import SettingEffect, active_settings, setting_effects
from glasschat.glass.ablation import NEUTRAL
from glasschat.sampling import DEFAULT_ORDER, SamplingParams
from tests.glass.recordings import RECORDINGS, Recording, record
from tests.sampling.rows import make_row, softmax

ROWS = [make_row(seed, 400, "peaked", 2.0, 0.0) for seed in range(30)]


def effect_of(params: SamplingParams, name: str) -> SettingEffect:
    return next(
        effect for effect in setting_effects(record(ROWS, params).trace) if effect.setting == name
    )


def test_a_top_k_that_top_p_makes_idle_is_said_to_do_nothing() -> None:
    found = effect_of(SamplingParams(seed=1, top_k=60, top_p=0.5), "top_k")
    assert found.idle
    assert str(found.sentence) == "top_k 60 changed nothing in these 30 tokens"


def test_a_setting_that_chooses_is_said_where() -> None:
    found = effect_of(SamplingParams(seed=1, top_p=0.3), "top_p")
    assert found.choices and found.sets >= found.choices
    expected = f"top_p 0.3 changed {found.choices} of 30 choices, first that of token "
    assert str(found.sentence) == expected + str(found.places[0] + 1)


def test_only_settings_that_are_on_have_an_effect() -> None:
    assert active_settings(SamplingParams()) == ("repetition_penalty", "temperature", "top_p")
    assert active_settings(SamplingParams(temperature=0.0)) == ("repetition_penalty", "temperature")
    assert active_settings(SamplingParams(do_sample=False, ignore_eos=True)) == (
        "repetition_penalty", "ignore_eos", "do_sample",
    )  # fmt: skip
    order = tuple(reversed(DEFAULT_ORDER))
    assert active_settings(SamplingParams(stages=order, top_p=1.0))[-1] == "stages"


def test_every_setting_has_a_value_at_which_it_does_nothing() -> None:
    for name, value in NEUTRAL.items():
        if name != "do_sample":
            assert name not in active_settings(replace(SamplingParams(), **{name: value}))


@given(RECORDINGS)
def test_the_counts_are_those_of_the_rows(recording: Recording) -> None:
    trace = recording.trace
    for found in setting_effects(trace):
        without = replace(trace.params, **{found.setting: NEUTRAL[found.setting]})
        if without.greedy != trace.params.greedy:
            continue
        try:
            pairs = [
                (recording.stage_rows(trace.params, at)[-1], recording.stage_rows(without, at)[-1])
                for at in range(len(trace))
            ]
        except ReplyFailed:  # nothing was left without it
            continue
        other = [recording.choice(without, at) != trace.token_ids[at] for at in range(len(trace))]
        if found.open == 0:  # nothing is left to be guessed
            assert found.choices == sum(other)
        if found.idle:
            for recorded, neutral in pairs:
                np.testing.assert_allclose(softmax(recorded), softmax(neutral), atol=0.006)


@pytest.mark.parametrize("name", sorted(set(NEUTRAL) - {"do_sample", "stages", "logit_bias"}))
def test_an_effect_is_stated_with_the_name_and_value_of_its_setting(name: str) -> None:
    strong = {
        "repetition_penalty": 1.5,
        "presence_penalty": 1.0,
        "frequency_penalty": 1.0,
        "no_repeat_ngram_size": 1,
        "min_new_tokens": 10,
        "ignore_eos": True,
        "temperature": 0.5,
        "top_k": 2,
        "top_p": 0.4,
        "min_p": 0.4,
        "typical_p": 0.4,
        "top_n_sigma": 0.5,
        "dynatemp_range": 2.0,
        "dry_multiplier": 5.0,
        "xtc_probability": 1.0,
    }
    off = {key: value for key, value in NEUTRAL.items() if key not in ("do_sample", "stages")}
    params = SamplingParams(**(off | {"seed": 1, "dry_sequence_breakers": (), name: strong[name]}))
    found = effect_of(params, name)
    assert str(found.sentence).startswith(f"{name} {strong[name]} changed ")
    assert found.distributions or found.idle
