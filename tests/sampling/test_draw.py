"""The draw is fair, and the same `u` over the same row always falls on the same token."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.sampling import draw
from glasschat.sampling.draw import probability_of, seeded_draws
from tests.sampling.rows import Row, alive, make_row, rows, softmax

# float32 weights summed over a row, against float64: where `u` is nearer to an edge between two
# tokens than this, either is right.
EDGE = 1e-6


@given(rows(), st.floats(0, 1, exclude_max=True))
def test_the_token_is_the_one_under_u_in_the_sorted_row(row: Row, u: float) -> None:
    token_id, probability = draw(row, u)
    shares = softmax(row)
    order = sorted(alive(row).tolist(), key=lambda i: (-row[i], i))
    sums = np.cumsum(shares[order])
    place = order.index(token_id)
    assert (sums[place - 1] if place else 0.0) - EDGE <= u <= sums[place] + EDGE
    assert probability == pytest.approx(shares[token_id], rel=1e-5)
    assert probability_of(row, token_id) == pytest.approx(probability, rel=1e-5)


@given(rows(2500), st.floats(0, 1, exclude_max=True))
def test_knowing_the_candidates_beforehand_changes_nothing(row: Row, u: float) -> None:
    known = draw(row, u, alive(row))
    assert known[0] == draw(row, u)[0]


def test_equal_tokens_lie_in_the_order_of_their_ids() -> None:
    for size in (8, 5000):
        row = np.zeros(size, np.float32)
        drawn = [draw(row, (i + 0.5) / size)[0] for i in range(0, size, 7)]
        assert drawn == list(range(0, size, 7))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [5, 5000])
def test_the_largest_u_of_all_draws_a_token_that_is_possible(size: int, seed: int) -> None:
    """The float32 sum that `u` is laid over may exceed the float64 sum of the sorted weights by
    a rounding: the last token of any weight is meant then, none beyond it and none of weight 0."""
    row = make_row(seed, size, "normal", 1.0, 0.0)
    possible = row.argsort()[size // 2 :]
    row[row.argsort()[: size // 2]] = -1000.0
    assert draw(row, 1 - 2**-53)[0] in possible


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    return float(((observed - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_tokens_come_as_often_as_they_are_likely(seed: int) -> None:
    """20,000 draws over 12 tokens; 31.3 is passed by chance once in a thousand (11 degrees)."""
    row = make_row(seed, 12, "normal", 1.0, 0.0)
    draws = np.random.default_rng(seed).random(20_000)
    counts = np.bincount([draw(row, u)[0] for u in draws], minlength=12)
    assert chi_square(counts, 20_000 * softmax(row)) < 31.3


@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_a_long_row_that_nothing_was_cut_from_is_drawn_from_fairly(scale: float) -> None:
    """In ten groups of neighbouring ids; 27.9 is passed once in a thousand (9 degrees)."""
    row = make_row(7, 5000, "normal", scale, 0.0)
    draws = np.random.default_rng(7).random(2000)
    counts = np.bincount([draw(row, u)[0] // 500 for u in draws], minlength=10)
    assert chi_square(counts, 2000 * softmax(row).reshape(10, 500).sum(axis=1)) < 27.9


def test_the_second_number_of_a_place_is_another_one_and_leaves_the_first_alone() -> None:
    first, second = seeded_draws(7, 0, 100), seeded_draws(7, 0, 100, stream=1)
    assert not set(first) & set(second)
    assert np.array_equal(seeded_draws(7, 40, 60, stream=1), second[40:])
    # What a seed gave before there was a second stream.
    assert first[:2].tolist() == [0.625095466604667, 0.8972138009695755]
