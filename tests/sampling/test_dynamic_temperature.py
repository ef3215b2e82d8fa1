"""Dynamic temperature: between its ends by the entropy, and never a score that is no number."""

import math

import numpy as np
import pytest

from glasschat.sampling import SamplingParams, StageContext, TokenHistory, build_stages
from glasschat.sampling.dynamic_temperature import DynamicTemperature

CONTEXT = StageContext(TokenHistory([0]))


@pytest.mark.parametrize(("spread", "low", "high"), [(0.5, 0.5, 1.5), (3.0, 0.0, 4.0)])
def test_a_sure_row_gets_the_lower_end_and_an_even_one_the_upper(
    spread: float, low: float, high: float
) -> None:
    stage = DynamicTemperature(1.0, spread, 1.0)
    even, sure = np.zeros(50, np.float32), np.zeros(50, np.float32)
    sure[7] = 80.0
    assert stage.temperature_at(stage.measure(even, CONTEXT)) == pytest.approx(high)
    assert stage.temperature_at(stage.measure(sure, CONTEXT)) == pytest.approx(low, abs=1e-6)


def test_it_is_the_entropy_to_the_power_of_the_exponent() -> None:
    row = np.log(np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    share = float(-(shares * np.log(shares)).sum() / math.log(4))
    stage = DynamicTemperature(1.0, 0.5, 2.0)
    np.testing.assert_allclose(stage(row, CONTEXT), row / (0.5 + share**2), rtol=1e-5)


def test_at_no_temperature_at_all_the_likeliest_alone_is_left() -> None:
    row = np.array([0.0, 500.0, 0.0], np.float32)
    after = DynamicTemperature(1.0, 1.0, 1.0)(row, CONTEXT)
    assert after.tolist() == [-np.inf, 500.0, -np.inf]


def test_it_takes_the_place_of_temperature_and_a_temperature_of_zero_stays_greedy() -> None:
    stages = build_stages(SamplingParams(dynatemp_range=0.3))
    assert "dynamic_temperature" in [stage.name for stage in stages]
    assert "temperature" not in [stage.name for stage in stages]
    assert SamplingParams(temperature=0.0, dynatemp_range=0.3).greedy
