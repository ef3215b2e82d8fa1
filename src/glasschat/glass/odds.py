"""How likely the tokens of a recorded reply were under other settings, without the model."""

from dataclasses import dataclass

import numpy as np

from glasschat.glass.candidates import Mask
from glasschat.glass.rebuild import rebuild
from glasschat.glass.tail_bounds import Wide
from glasschat.glass.trace import Trace
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, eq=False)
class Odds:
    """For each of `n` tokens the probability that the settings leave it; 0 for one they remove.

    Where it is not `known` the token is not among the recorded candidates, or they do not suffice
    to say whether it would be left.
    """

    probability: Wide
    known: Mask


def odds_under(trace: Trace, params: SamplingParams) -> Odds:
    """The odds of the tokens of `trace` under `params`, each behind the text as it was."""
    last = rebuild(trace, params).last
    chosen = last.ids == trace.columns.token_id[:, None]
    at = np.argmax(chosen, axis=1)[:, None]
    listed = np.take_along_axis(chosen, at, axis=1)[:, 0]
    weight = np.take_along_axis(last.weights, at, axis=1)[:, 0]
    doubtful = np.take_along_axis(last.maybe, at, axis=1)[:, 0]
    return Odds(
        probability=np.where(listed, weight / last.middle, 0.0),
        known=listed & ~doubtful & ~last.guessed,
    )
