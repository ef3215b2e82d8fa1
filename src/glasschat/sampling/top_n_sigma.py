"""Top-n-sigma: a cut by the spread of the scores, which no temperature before it changes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glasschat.sampling.distribution import keep_only
from glasschat.sampling.settings import N_
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row


def apply_top_n_sigma(scores: Row, n: float) -> Row:
    """Keep the tokens that score at least the maximum less `n` standard deviations; `n` above 0.

    float32 [vocab] in and out. The deviation is that of all scores that are not -inf, divided by
    their number. Tang et al. 2024, arXiv:2411.07641; as llama.cpp's top-n-sigma, which sums in
    float32 where this sums in float64.
    """
    return _keep(scores, n, standard_deviation(scores))


def standard_deviation(scores: Row) -> float:
    """Return that of all scores that are not -inf, summed in float64."""
    return float(scores[scores > -np.inf].std(dtype=np.float64))


def _keep(scores: Row, n: float, deviation: float) -> Row:
    least = np.float32(float(scores.max()) - n * deviation)
    return keep_only(scores, np.flatnonzero(scores >= least))


@dataclass(frozen=True, slots=True)
class TopNSigma:
    """Keeps the tokens within `n` standard deviations of the best score."""

    name: ClassVar[str] = "top_n_sigma"
    kind: ClassVar[StageKind] = "warper"
    removal: ClassVar[str] = N_(
        "its score lies more than {n:g} standard deviations below the best one"
    )
    n: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores with -inf for what lies further below the best one."""
        return _keep(scores, self.n, self.measure(scores, context))

    def measure(self, scores: Row, context: StageContext) -> float:
        """Return the standard deviation of the scores."""
        return standard_deviation(scores)
