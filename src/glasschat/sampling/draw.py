"""Draw one token from the final row by inverse transform sampling."""

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.distribution import Distribution, Ids
from glasschat.sampling.workspace import Row

# Up to this many candidates are sorted outright; beyond it the likeliest are tried first.
FEW = 2048
_FIRST_LOOK = 64


def draw(scores: Row, u: float, candidates: Ids | None = None) -> tuple[int, float]:
    """Return the token on which `u` in [0, 1) falls, and its probability.

    `scores` is float32 [vocab] with at least one finite score, and `candidates` the ascending ids
    of the finite ones, if they are known already. The candidates lie over [0, 1) in descending
    order of probability, of equals the lower id first, each as wide as its softmax.
    """
    if candidates is None:
        alive = scores > -np.inf
        if np.count_nonzero(alive) <= FEW:
            candidates = np.flatnonzero(alive)
    if candidates is not None and len(candidates) <= FEW:
        ids = candidates[np.argsort(-scores[candidates], kind="stable")]
        values = scores[ids].astype(np.float64)
        weights = np.exp(values - values[0])
        sums = np.cumsum(weights)
        total = float(sums[-1])
        place = place_of(sums, u * total)
        return int(ids[place]), float(weights[place]) / total
    whole = Distribution(scores)
    ids = whole.candidates(_FIRST_LOOK)
    weights = whole.weights(ids)
    sums = np.cumsum(weights)
    if u * whole.total < sums[-1]:
        place = place_of(sums, u * whole.total)
        return int(ids[place]), float(weights[place]) / whole.total
    return _draw_sorted(whole, u)


def seeded_draws(seed: int, start: int, count: int, stream: int = 0) -> NDArray[np.float64]:
    """Return the random numbers of a seed for `count` tokens of a reply, starting at token `start`.

    float64 [count], each in [0, 1). `stream` 0 has the draws of the tokens, 1 the second number
    that a stage may use at the same token: the same generator (PCG64), jumped so far ahead that the
    two streams never meet.
    """
    bits = np.random.PCG64(seed)
    if stream:
        bits = bits.jumped(stream)
    return np.random.Generator(bits.advance(start)).random(count)


def probability_of(scores: Row, token_id: int) -> float:
    """Return the softmax of `scores` (float32 [vocab]) at `token_id`; 0 for a removed token."""
    whole = Distribution(scores)
    # In float64: a forced token may be less likely than float32 can say.
    return float(np.exp(float(scores[token_id]) - whole.maximum)) / whole.total


def _draw_sorted(whole: Distribution, u: float) -> tuple[int, float]:
    # Values are sorted without their ids, which is twice as fast; the ids of one value follow.
    values = np.sort(whole.scores)[::-1]
    weights = np.exp(values - np.float32(whole.maximum)).astype(np.float64)
    sums = np.cumsum(weights)
    place = place_of(sums, u * whole.total)
    value = values[place]
    among = place - int(np.searchsorted(-values, -value, side="left"))
    equals: Ids = np.flatnonzero(whole.scores == value)
    return int(equals[among]), float(weights[place]) / whole.total


def place_of(sums: np.ndarray[tuple[int], np.dtype[np.float64]], target: float) -> int:
    """Return the first index whose cumulative sum exceeds `target`.

    `sums` is float64 [n], ascending. When no sum exceeds `target`, the last index of any weight.
    """
    # u * total may round up to the whole sum; a token of weight 0 must not be drawn then.
    last = int(np.searchsorted(sums, sums[-1], side="left"))
    return min(int(np.searchsorted(sums, target, side="right")), last)
