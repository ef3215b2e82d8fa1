"""The draw over rebuilt candidates: on which token it falls, and whether that is certain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import CandidateSet, Mask
from glasschat.glass.tail_bounds import Wide

UNLISTED = -1
"""Stands for a token that is not among the recorded candidates."""

# The rounding of sums of 64 weights; draws are compared with them.
_EPSILON = 1e-14


@dataclass(frozen=True, eq=False)
class Choices:
    """What `n` draws fall on; all arrays are [n].

    `token_id` (int32) is the token or UNLISTED, `probability` (float64) its probability, of
    UNLISTED that of all unlisted tokens together. Where it is not `certain` (bool) that the draw
    falls on it, both are the most likely answer; where the row is `unknown` (bool), they mean
    nothing.
    """

    token_id: NDArray[np.int32]
    probability: Wide
    certain: Mask
    unknown: Mask


def choose(candidates: CandidateSet, draws: Wide | None) -> Choices:
    """Return the choices for `draws` (float64 [n] in [0, 1)); for None the likeliest tokens."""
    low, high = (total[:, None] for total in candidates.total_bounds)
    certain = candidates.above_tail & ~candidates.uncertain & (candidates.scores > -np.inf)
    sums = np.cumsum(candidates.weights, axis=1)
    fully_listed = candidates.fully_listed
    if draws is None:
        place = np.zeros(len(certain), np.int64)
        decided = certain[:, 0]
    else:
        aims = draws[:, None]
        # An uncertain one counts as coming before a candidate, and not as part of the sum up to it.
        before = sums - candidates.weights
        through = np.cumsum(candidates.lower_weights, axis=1)
        # A total that is rounded up leaves nothing for the last draw.
        last = np.arange(certain.shape[1]) == candidates.possible_count[:, None] - 1
        through = np.where(fully_listed[:, None] & last, np.inf, through)
        hit = (before <= aims * low * (1 - _EPSILON)) & (aims * high * (1 + _EPSILON) < through)
        hit &= certain
        place = np.count_nonzero(sums <= (draws * candidates.total)[:, None], axis=1)
        end = np.maximum(candidates.possible_count - 1, 0)
        place = np.where(fully_listed, np.minimum(place, end), place)
        place = np.where(hit.any(axis=1), hit.argmax(axis=1), place)
        # All listed ones come first, and the draw falls behind them.
        outside = (candidates.above_tail | (candidates.scores == -np.inf)).all(axis=1)
        outside &= ~fully_listed & ~candidates.unknown
        outside &= sums[:, -1] <= draws * low[:, 0] * (1 - _EPSILON)
        decided = hit.any(axis=1) | outside
    listed = place < candidates.possible_count
    at = np.minimum(place, certain.shape[1] - 1)[:, None]
    token_id = np.take_along_axis(candidates.ids, at, axis=1)[:, 0]
    share = np.take_along_axis(candidates.weights, at, axis=1)[:, 0] / candidates.total
    rest = np.clip(1.0 - sums[:, -1] / candidates.total, 0.0, 1.0)
    return Choices(
        token_id=np.where(listed, token_id, UNLISTED).astype(np.int32),
        probability=np.where(listed, share, rest),
        certain=decided & (listed | ~fully_listed),
        unknown=candidates.unknown,
    )
