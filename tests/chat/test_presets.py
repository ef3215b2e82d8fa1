"""Presets set what they decide, and leave alone what somebody set beside them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.chat.presets import (
    CREATIVE,
    DEFAULTS,
    LIMIT_FIELDS,
    ORIGINAL,
    PRECISE,
    RESERVED,
    SAMPLING_FIELDS,
    Preset,
    built_in_presets,
    make_preset,
)
from glasschat.chat.presets_file import MAX_PRESETS
from glasschat.chat.user_presets import UserPresets
from glasschat.errors import ParameterError
from glasschat.sampling import CustomStage, SamplingParams

shares = st.floats(0.0, 1.0)
params = st.builds(
    SamplingParams,
    do_sample=st.booleans(),
    temperature=st.floats(0.0, 100.0),
    top_p=shares,
    top_k=st.integers(0, 1000),
    min_p=shares,
    repetition_penalty=st.floats(0.1, 2.0),
    presence_penalty=st.floats(-2.0, 2.0),
    max_length=st.integers(8, 10_000),
    max_new_tokens=st.none() | st.integers(1, 500),
    stop=st.lists(st.text(min_size=1, max_size=5), max_size=3).map(tuple),
    seed=st.none() | st.integers(0, 2**64 - 1),
    own_stages=st.sampled_from([(), (CustomStage.of("mine", "warper", {"by": 0.5}),)]),
)
presets = st.sampled_from(built_in_presets({"temperature": 0.6, "top_k": 20})) | st.builds(
    make_preset, st.just("mine"), params
)


def test_original_is_what_the_demo_sets() -> None:
    assert ORIGINAL.value("temperature") == 0.7 and ORIGINAL.value("top_p") == 0.8
    assert ORIGINAL.value("max_length") == 8192 and ORIGINAL.value("repetition_penalty") == 1.005
    assert ORIGINAL.list_changes(values_of(DEFAULTS)) == ()


def test_what_a_models_makers_leave_out_is_off_as_in_transformers() -> None:
    [own] = [
        p for p in built_in_presets({"temperature": 0.6, "top_k": 20}) if p.name == "Model's own"
    ]
    assert (own.value("temperature"), own.value("top_k"), own.value("top_p")) == (0.6, 20, 1.0)
    assert own.value("repetition_penalty") == 1.0
    assert [p.name for p in built_in_presets({})] == ["Original", "Precise", "Creative"]


Values = dict[str, Any]


def values_of(given: SamplingParams) -> Values:
    return {name: getattr(given, name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS)}


def applied(preset: Preset, before: Values, replacing: Preset | None = None) -> Values:
    return before | preset.values_to_apply(before, replacing=replacing)


START = values_of(DEFAULTS)


@given(params, presets)
def test_once_applied_nothing_differs(before: SamplingParams, preset: Preset) -> None:
    after = applied(preset, values_of(before))
    assert preset.list_changes(after) == ()
    assert applied(preset, after, preset) == after


@given(params, presets, presets)
def test_what_was_set_beside_a_preset_outlives_it(
    own: SamplingParams, first: Preset, second: Preset
) -> None:
    beside = {n: v for n, v in values_of(own).items() if n not in first.decides}
    after = applied(second, applied(first, START) | beside, first)
    for name, value in beside.items():
        assert after[name] == (second.value(name) if name in second.decides else value)


@given(params)
def test_what_a_preset_brought_goes_with_it(own: SamplingParams) -> None:
    mine = make_preset("mine", own)
    assert applied(PRECISE, applied(mine, START), mine) == applied(PRECISE, START)


@given(params)
def test_ones_own_preset_brings_everything_back(own: SamplingParams) -> None:
    assert applied(make_preset("mine", own), START) == values_of(own)


def test_a_changed_setting_is_named_and_a_sliders_rounding_is_none() -> None:
    moved = applied(CREATIVE, START) | {"temperature": 0.9, "min_p": 0.05 + 1e-16}
    assert CREATIVE.list_changes(moved) == ("temperature",)
    assert ORIGINAL.list_changes(START | {"seed": 7, "stop": ("x",)}) == ()


def test_a_small_context_is_no_change_of_a_preset() -> None:
    small = ORIGINAL.limit_to_context(1024)
    assert small.value("max_length") == 1024 and ORIGINAL.value("max_length") == 8192
    assert small.list_changes(START | {"max_length": 1024}) == ()
    assert (
        Preset("mine", {"max_new_tokens": None}).limit_to_context(64).value("max_new_tokens")
        is None
    )


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("", {}, "1 to 60 printable characters"),
        ("   ", {}, "1 to 60"),
        ("n" * 61, {}, "1 to 60"),
        ("half \ud800", {}, "printable"),
        ("hot", {"temperature": "warm"}, "temperature must be"),
        ("hot", {"temperature": float("nan")}, "temperature must be"),
        ("far", {"top_p": 1.5}, "between 0 and 1"),
        ("odd", {"logit_bias": {1: 1.0}}, "settings among"),
    ],
)
def test_what_no_preset_can_be(name: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Preset(name, values)


def test_without_a_store_they_last_as_long_as_the_process() -> None:
    own = UserPresets()
    own.save("me", Preset("b", {"top_k": 1}))
    own.save("me", Preset("a  calm \n one", {}))
    own.save("me", Preset("b", {"top_k": 2}))
    assert [(p.name, p.value("top_k")) for p in own.presets("me")] == [("a calm one", 0), ("b", 2)]
    assert own.presets("you") == ()
    own.delete("you", "b")
    own.delete("me", "b")
    own.delete("me", "b")
    assert [p.name for p in own.presets("me")] == ["a calm one"]


def test_one_from_elsewhere_takes_no_place_of_another() -> None:
    own = UserPresets()
    first, other = Preset("calm", {"top_k": 3}), Preset("calm", {"top_k": 4})
    assert [own.add("me", p).name for p in (first, other, other, first)] == [
        "calm",
        "calm 2",
        "calm 2",
        "calm",
    ]
    assert [p.value("top_k") for p in own.presets("me")] == [3, 4]
    long = "n" * 60
    assert own.add("me", Preset(long, {})).name == long
    assert own.add("me", Preset(long, {"top_k": 1})).name == "n" * 55 + " 2"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_built_in_name_stays_theirs(name: str) -> None:
    with pytest.raises(ParameterError, match="built-in"):
        UserPresets().save("me", Preset(name.title(), {}))


def test_there_is_an_end_of_them() -> None:
    own = UserPresets()
    for number in range(MAX_PRESETS):
        own.save("me", Preset(f"p{number}", {}))
    own.save("me", Preset("p7", {"top_k": 7}))
    with pytest.raises(ParameterError, match="delete one first"):
        own.save("me", Preset("one more", {}))


def test_every_setting_is_of_one_kind_or_of_neither() -> None:
    assert not set(SAMPLING_FIELDS) & set(LIMIT_FIELDS)
    assert all(hasattr(DEFAULTS, name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS))
