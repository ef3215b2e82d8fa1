"""A wrong setting is refused at once, by name, with its range: never clipped, never ignored."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from glasschat.errors import ParameterError
from glasschat.sampling import DEFAULT_ORDER, SETTINGS, SamplingParams

NUMBERS = [row for row in SETTINGS.values() if row.is_number]
WHOLE = [row.name for row in NUMBERS if row.kind == "int"]
REAL = [row.name for row in NUMBERS if row.kind == "float"]
OPTIONAL = {"seed", "max_new_tokens"}


def refused(name: str, value: Any) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        SamplingParams(**{name: value})
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.name == name
    assert error.value is value
    message = str(error)
    assert name in message
    assert error.allowed in message
    assert repr(value) in message
    assert "\n" not in message
    return error


@pytest.mark.parametrize("name", [f.name for f in NUMBERS])
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, True, False, "0.5", b"1", [1], {}, 1j, 10**400, object()],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_number_in_range_is_refused_by_name(name: str, value: Any) -> None:
    refused(name, value)


@pytest.mark.parametrize("name", [f.name for f in NUMBERS if f.name not in OPTIONAL])
def test_none_is_refused_where_there_is_no_unset(name: str) -> None:
    refused(name, None)


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_none_is_unset_where_that_means_something(name: str) -> None:
    unset: dict[str, Any] = {name: None}
    assert getattr(SamplingParams(**unset), name) is None


@pytest.mark.parametrize("name", [f.name for f in NUMBERS])
def test_just_beyond_the_range_is_refused_and_its_ends_are_not(name: str) -> None:
    row = SETTINGS[name]
    low, high = row.low, row.high
    step = 1 if name in WHOLE else 1e-6
    for value in (low - step, high + step * (high if step < 1 else 1)):
        error = refused(name, value)
        assert f"{low:g}" in error.allowed or str(low) in error.allowed
        assert f"{high:g}" in error.allowed or str(high) in error.allowed
    assert getattr(SamplingParams(**{name: high}), name) == high
    if row.open_low:
        assert "above" in refused(name, low).allowed
    else:
        assert getattr(SamplingParams(**{name: low}), name) == low


@pytest.mark.parametrize(
    "name",
    [
        f.name
        for f in NUMBERS
        # Of the last, -1 is the whole context, as at llama-server.
        if f.name not in {"presence_penalty", "frequency_penalty", "dry_penalty_last_n"}
    ],
)
def test_minus_one_is_refused(name: str) -> None:
    refused(name, -1)


@pytest.mark.parametrize(
    "name", ["top_p", "min_p", "typical_p", "presence_penalty", "frequency_penalty"]
)
def test_seven_is_refused_where_the_range_is_small(name: str) -> None:
    refused(name, 7)


@pytest.mark.parametrize("name", WHOLE)
def test_a_fraction_of_a_token_is_refused(name: str) -> None:
    refused(name, 1.5)
    refused(name, 2.0)


@pytest.mark.parametrize("name", REAL)
def test_an_array_is_refused_and_not_taken_for_a_number(name: str) -> None:
    array: dict[str, Any] = {name: np.array([0.5, 0.5])}
    with pytest.raises(ParameterError, match=name):
        SamplingParams(**array)


@pytest.mark.parametrize("value", [1, 0, None, "true", math.nan, np.True_])
@pytest.mark.parametrize("name", ["do_sample", "ignore_eos"])
def test_a_switch_is_true_or_false_and_nothing_like_it(name: str, value: Any) -> None:
    assert refused(name, value).allowed == "true or false"


@pytest.mark.parametrize(
    ("bias", "named"),
    [
        (None, None),
        ([1], [1]),
        ("1", "1"),
        ({-1: 1.0}, -1),
        ({True: 1.0}, True),
        ({"1": 1.0}, "1"),
        ({1: math.nan}, math.nan),
        ({1: math.inf}, math.inf),
        ({1: 1e39}, 1e39),
        ({1: "5"}, "5"),
        ({1: None}, None),
        ({1: False}, False),
        ({1: 10**400}, 10**400),
    ],
)
def test_a_bias_that_cannot_be_added_is_refused(bias: Any, named: Any) -> None:
    with pytest.raises(ParameterError, match="logit_bias") as caught:
        SamplingParams(logit_bias=bias)
    assert repr(named) in str(caught.value)


def test_a_token_can_be_forbidden() -> None:
    assert SamplingParams(logit_bias={3: -math.inf}).logit_bias == {3: -math.inf}


def test_a_bias_changed_after_the_fact_does_not_reach_a_running_reply() -> None:
    bias = {3: 1.0}
    params = SamplingParams(logit_bias=bias)
    bias[3] = 5.0
    assert params.logit_bias == {3: 1.0}
    with pytest.raises(TypeError):
        params.logit_bias[3] = 2.0  # type: ignore[index]


@pytest.mark.parametrize("value", [None, 7, "", ("a", ""), ("a", 1), {"a"}, math.nan])
def test_a_stop_text_that_could_never_match_is_refused(value: Any) -> None:
    refused("stop", value)


@pytest.mark.parametrize("value", [None, 7, "12", (1.5,), (-1,), (True,), ("1",), math.inf])
def test_a_stop_token_that_is_no_id_is_refused(value: Any) -> None:
    refused("stop_token_ids", value)


@pytest.mark.parametrize(
    "value",
    [None, 7, "top_k", (), ("top_k",), (*DEFAULT_ORDER, "top_k"), (1, "a"), (None,), math.nan],
)
def test_an_order_that_forgets_or_doubles_a_stage_is_refused(value: Any) -> None:
    with pytest.raises(ParameterError, match="stages"):
        SamplingParams(stages=value)


def test_any_order_of_the_stages_is_taken() -> None:
    assert SamplingParams(stages=DEFAULT_ORDER[::-1]).stages == DEFAULT_ORDER[::-1]


def test_numbers_of_other_kinds_become_plain_ones() -> None:
    given: dict[str, Any] = {
        "temperature": 1,
        "top_k": np.int64(5),
        "top_p": np.float32(0.5),
        "min_p": Decimal(),
    }
    params = SamplingParams(**given)
    assert (params.temperature, params.top_k, params.top_p, params.min_p) == (1.0, 5, 0.5, 0.0)
    assert [type(v) for v in (params.temperature, params.top_k, params.top_p, params.min_p)] == [
        float,
        int,
        float,
        float,
    ]


def test_one_stop_text_needs_no_list() -> None:
    alone: Any = "END"
    assert SamplingParams(stop=alone).stop == ("END",)


def test_the_defaults_are_those_of_the_demo() -> None:
    params = SamplingParams()
    assert params.do_sample
    assert (params.temperature, params.top_p, params.repetition_penalty) == (0.7, 0.8, 1.005)
    assert (params.top_k, params.min_p, params.typical_p) == (0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "greedy"),
    [({}, False), ({"temperature": 0}, True), ({"do_sample": False}, True)],
)
def test_temperature_zero_is_the_same_wish_as_sampling_off(
    settings: dict[str, Any], greedy: bool
) -> None:
    assert SamplingParams(**settings).greedy is greedy
