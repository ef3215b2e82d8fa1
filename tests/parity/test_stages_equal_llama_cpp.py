"""Stages that llama.cpp defined give the rows that the installed llama.cpp gives."""

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.sampling import StageContext, TokenHistory
from glasschat.sampling.dynamic_temperature import DynamicTemperature
from glasschat.sampling.top_n_sigma import apply_top_n_sigma
from glasschat.sampling.xtc import apply_xtc
from tests.sampling.rows import Row, rows, softmax

llama_cpp = pytest.importorskip("llama_cpp")

# llama.cpp sums in float32: what lies as near to a bound may go either way.
ROUNDING = 1e-4


def apply_theirs(sampler: Any, row: Row, accepted: tuple[int, ...] = ()) -> Row:
    """The row behind one of llama.cpp's samplers, which is freed."""
    tokens = (llama_cpp.llama_token_data * len(row))()
    for token_id, logit in enumerate(row.tolist()):
        tokens[token_id].id, tokens[token_id].logit = token_id, logit
    array = llama_cpp.llama_token_data_array(tokens, len(row), -1, False)
    for token_id in accepted:
        llama_cpp.llama_sampler_accept(sampler, token_id)
    llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
    llama_cpp.llama_sampler_free(sampler)
    after = np.full(len(row), -np.inf, np.float32)
    for place in range(array.size):
        after[array.data[place].id] = array.data[place].logit
    return after


@given(rows(2500), st.sampled_from([0.3, 0.7, 1.0, 1.5, 3.0]))
def test_top_n_sigma(row: Row, n: float) -> None:
    theirs = apply_theirs(llama_cpp.llama_sampler_init_top_n_sigma(n), row)
    ours = apply_top_n_sigma(row, n)
    present = row[row > -np.inf].astype(np.float64)
    least = present.max() - n * present.std()
    near = np.abs(row - least) < ROUNDING * (1 + np.abs(present).max())
    assert np.array_equal(ours[~near], theirs[~near])


@given(rows(2500), st.sampled_from([0.0005, 0.01, 0.05, 0.1, 0.3, 0.5]))
def test_xtc(row: Row, threshold: float) -> None:
    theirs = apply_theirs(llama_cpp.llama_sampler_init_xtc(1.0, threshold, 0, 1), row)
    ours = apply_xtc(row, threshold)
    shares = softmax(row)
    if np.any(np.abs(shares - threshold) < ROUNDING * threshold):
        return
    # Of equals it is theirs to choose which one stays.
    assert np.array_equal(np.sort(ours), np.sort(theirs))
    least = row[shares >= threshold].min() if np.any(shares >= threshold) else np.inf
    assert np.array_equal(ours[row != least], theirs[row != least])


@given(
    rows(2500),
    st.sampled_from([0.5, 0.7, 1.0, 2.0]),
    st.sampled_from([0.1, 0.5, 1.0, 3.0]),
    st.sampled_from([0.3, 1.0, 2.0]),
)
def test_dynamic_temperature(row: Row, temperature: float, spread: float, exponent: float) -> None:
    row = row[row > -np.inf]  # theirs count for the greatest entropy what is removed
    theirs = apply_theirs(llama_cpp.llama_sampler_init_temp_ext(temperature, spread, exponent), row)
    stage = DynamicTemperature(temperature, spread, exponent)
    context = StageContext(TokenHistory([0]))
    reached = stage.temperature_at(stage.measure(row, context))
    if len(row) < 2 or reached < 0.01:
        return  # one token's score means nothing; a float32 entropy near 0 has no digits left
    ours = stage(row, context)
    if temperature > spread:
        np.testing.assert_allclose(softmax(ours), softmax(theirs), atol=2e-3)
        near = abs(float(row.max() / theirs.max()) - reached) if abs(theirs.max()) > 1e-3 else 0.0
        assert near < 1e-3 * reached
