"""The fast look at a row is the slow look at it: nobody can tell that it was never sorted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glasschat.sampling import Distribution
from glasschat.sampling.distribution import keep_only
from glasschat.sampling.warpers import _top_p_sorted, apply_top_p
from tests.sampling.rows import Row, alive, rows, softmax


def by_sorting(row: Row) -> list[int]:
    """All finite tokens, likeliest first, of equals the lower id."""
    return sorted(alive(row).tolist(), key=lambda i: (-row[i], i))


@given(rows(), st.sampled_from([1, 2, 16, 64, 65, 200, 1024, 5000, 10**6]))
def test_candidates_are_the_first_of_the_sorted_row(row: Row, k: int) -> None:
    candidates = Distribution(row).candidates(k).tolist()
    assert len(candidates) >= min(k, len(alive(row)))
    assert candidates == by_sorting(row)[: len(candidates)]
    left_out = np.delete(row, candidates)
    assert not left_out.size or left_out.max() < row[candidates[-1]]


@given(rows(), st.integers(1, 10_000))
def test_the_kth_largest_is_the_kth_of_the_sorted_row(row: Row, k: int) -> None:
    ordered = by_sorting(row)
    expected = row[ordered[k - 1]] if k <= len(ordered) else -np.inf
    assert Distribution(row).kth_largest(k) == expected


@given(rows())
def test_logsumexp_and_entropy_equal_float64(row: Row) -> None:
    """The bound is a few last digits of float32, in which a row comes from the model."""
    whole = Distribution(row)
    wide = row.astype(np.float64)
    expected = wide.max() + np.log(np.exp(wide - wide.max()).sum())
    assert abs(whole.logsumexp - expected) <= 1e-6 * max(1.0, abs(expected))
    shares = softmax(row)[softmax(row) > 0]
    entropy = -(shares * np.log(shares)).sum()
    assert whole.entropy >= 0
    assert abs(whole.entropy - entropy) <= 3e-6 * max(1.0, entropy)


@given(rows(), st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.8, 0.95, 0.999])))
def test_the_fast_top_p_keeps_what_the_full_sort_keeps(row: Row, p: float) -> None:
    slow = keep_only(row, _top_p_sorted(row, np.float32(1.0 - p), Distribution(row)))
    np.testing.assert_array_equal(apply_top_p(row, p), slow)


def test_a_row_of_a_million_equal_scores_needs_no_luck() -> None:
    """The bound from column maxima would let all of them through: slow, but right."""
    row = np.zeros(1_000_000, np.float32)
    assert Distribution(row).candidates(64)[:3].tolist() == [0, 1, 2]
    assert len(alive(apply_top_p(row, 0.5))) == 500_000
