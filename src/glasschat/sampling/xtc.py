"""XTC, exclude top choices: a cut that now and then removes the likeliest tokens."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glasschat.sampling.distribution import Distribution
from glasschat.sampling.settings import N_
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row

HIGHEST_THRESHOLD = 0.5
"""Above it XTC is off: no two tokens can both be likelier."""


def apply_xtc(scores: Row, threshold: float, distribution: Distribution | None = None) -> Row:
    """Remove all tokens whose probability reaches `threshold`, but the least likely of them.

    float32 [vocab] in and out. Where fewer than two reach it nothing is removed; of equal scores
    the highest id counts as the least likely. As llama.cpp's XTC where its chance falls.
    """
    whole = distribution or Distribution(scores)
    shares = whole.exps / np.float32(whole.total)
    reached = np.flatnonzero((shares >= np.float32(threshold)) & (scores > -np.inf))
    if len(reached) < 2:
        return scores
    likeliest_first = reached[np.argsort(-scores[reached], kind="stable")]
    after = scores.copy()
    after[likeliest_first[:-1]] = -np.inf
    return after


@dataclass(frozen=True, slots=True)
class XTC:
    """Removes the top choices at some of the places, left to chance.

    It acts where the second number of the place is at most `probability`, so the numbers that
    tokens are drawn with stay what they are. P. E. Weidmann 2024, text-generation-webui, pull
    request 6335; as llama.cpp's XTC, which takes its chance from a generator of its own.
    """

    name: ClassVar[str] = "xtc"
    kind: ClassVar[StageKind] = "warper"
    uses_second_draw: ClassVar[bool] = True
    removal: ClassVar[str] = N_(
        "it has {share:.1%}: XTC removes what reaches {threshold:.1%} while something less likely "
        "reaches it too"
    )
    probability: float
    threshold: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores with -inf for the top choices, or as they are where it does not act."""
        if context.second_draw > self.probability:
            return scores
        return apply_xtc(scores, self.threshold, context.distribution(scores))
