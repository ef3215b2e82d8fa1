"""The draw over rebuilt candidates: on which token it falls, and how certain that is."""

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
    """What `n` draws fall on: the token or UNLISTED, its probability, and whether that is sure.

    A probability of UNLISTED is that of all others together. Where it is not `sure`, the token is
    the likeliest guess.
    """

    token_id: NDArray[np.int32]
    probability: Wide
    sure: Mask


def choose(layer: CandidateSet, draws: Wide | None) -> Choices:
    """The choices for these draws in [0, 1), or the likeliest tokens where there are none."""
    low, high = (total[:, None] for total in layer.total)
    certain = layer.above & ~layer.maybe & (layer.scores > -np.inf)
    every = np.cumsum(layer.weights, axis=1)
    if draws is None:
        place = np.zeros(len(certain), np.int64)
        sure = certain[:, 0]
    else:
        aims = draws[:, None]
        # Whoever may be gone or not comes before a candidate at most, and may be no part of it.
        before = every - layer.weights
        through = np.cumsum(layer.sure_weights, axis=1)
        # A total that is rounded up leaves nothing for the last draw.
        final = layer.alone[:, None] & (np.arange(certain.shape[1]) == layer.alive[:, None] - 1)
        through = np.where(final, np.inf, through)
        hit = (before <= aims * low * (1 - _EPSILON)) & (aims * high * (1 + _EPSILON) < through)
        hit &= certain
        place = np.count_nonzero(every <= (draws * layer.middle)[:, None], axis=1)
        place = np.where(layer.alone, np.minimum(place, np.maximum(layer.alive - 1, 0)), place)
        place = np.where(hit.any(axis=1), hit.argmax(axis=1), place)
        # All listed ones come first, and the draw falls behind them.
        outside = (layer.above | (layer.scores == -np.inf)).all(axis=1) & ~layer.alone
        outside &= ~layer.guessed
        outside &= every[:, -1] <= draws * low[:, 0] * (1 - _EPSILON)
        sure = hit.any(axis=1) | outside
    listed = place < layer.alive
    at = np.minimum(place, certain.shape[1] - 1)[:, None]
    token_id = np.take_along_axis(layer.ids, at, axis=1)[:, 0]
    share = np.take_along_axis(layer.weights, at, axis=1)[:, 0] / layer.middle
    rest = np.clip(1.0 - every[:, -1] / layer.middle, 0.0, 1.0)
    return Choices(
        token_id=np.where(listed, token_id, UNLISTED).astype(np.int32),
        probability=np.where(listed, share, rest),
        sure=sure & (listed | ~layer.alone),
    )
