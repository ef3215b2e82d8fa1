"""What is kept of one choice, enough to explain it later without the model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What one stage left: how many candidates, and what share of its input's probability."""

    name: str
    kept: int
    mass: float


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one token was chosen.

    `logit`, `logsumexp` and `entropy` (nats) are of the raw row, before any stage, so
    `logit - logsumexp` is the raw log-probability of the token. `rank` is its place in the raw
    row, 0 the likeliest. `top_ids` (int32) and `top_logits` (float32) are the raw candidates,
    likeliest first, at most 64. `probability` is that of the token in the final distribution.
    `u` in [0, 1) is the draw, laid over the final candidates in descending order of probability;
    None where nothing was drawn: the likeliest was taken, or the token was forced.
    """

    token_id: int
    logit: float
    logsumexp: float
    entropy: float
    rank: int
    probability: float
    u: float | None
    forced: bool
    top_ids: NDArray[np.int32]
    top_logits: NDArray[np.float32]
    stages: tuple[StageRecord, ...]

    @property
    def logprob(self) -> float:
        """The natural logarithm of the raw probability of the token."""
        return self.logit - self.logsumexp

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists, for `--trace`."""
        return {
            "token_id": self.token_id,
            "logit": self.logit,
            "logsumexp": self.logsumexp,
            "entropy": self.entropy,
            "rank": self.rank,
            "probability": self.probability,
            "u": self.u,
            "forced": self.forced,
            "top": [[int(i), float(x)] for i, x in zip(self.top_ids, self.top_logits, strict=True)],
            "stages": [{"name": s.name, "kept": s.kept, "mass": s.mass} for s in self.stages],
        }
