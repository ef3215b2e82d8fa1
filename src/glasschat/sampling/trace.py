"""Trace records of one chosen token: enough to explain the choice later without the model."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glasschat.errors import ReplyFailed
from glasschat.messages import Message
from glasschat.sampling.distribution import Distribution, Ids, Tail
from glasschat.sampling.workspace import Row

TOP_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class StageRecord:
    """The candidates that one stage left of its input.

    `kept` counts the candidates (finite scores) after the stage. `mass`, in (0, 1], is the share
    that they had of the softmax of the stage's input; 1.0 for a stage that removed none.
    `logsumexp` is of their scores after the stage, so `score - logsumexp` is a log-probability
    there (natural logarithm). `best` is the token that scores highest there, of equals the lowest
    id. `measured` is the number that a MeasuringStage took from its input, None for every other
    stage.
    """

    name: str
    kept: int
    mass: float
    logsumexp: float
    best: int
    measured: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain values for JSON; a `measured` of None is left out."""
        plain = asdict(self)
        if self.measured is None:
            del plain["measured"]
        return plain


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one token was chosen: its raw logit, its probability, the draw and the stages.

    `logit`, `logsumexp` and `entropy` (nats) are of the raw row, before any stage, so
    `logit - logsumexp` is the raw log-probability of the token. `rank` is its place in the raw row,
    0 the likeliest. `top_ids` (int32) and `top_logits` (float32) are the raw candidates, likeliest
    first and of equals the lower id, at most 64 and finite ones only. `tail` is the weight of all
    other tokens at each of `TEMPERATURES`, relative to the likeliest one: logarithms of sums of
    `exp((logit - top_logits[0]) / temperature)`, float32, -inf where there are no other tokens.
    `seen` is the same at temperature 1 for those of the other tokens that stood in prompt or reply
    before. `probability` is that of the token in the softmax of the final row, also where the
    likeliest was simply taken; 0 for a forced token that the stages had removed. `u` in [0, 1) is
    the draw, laid over the final candidates in descending order of probability; None where nothing
    was drawn: the likeliest was taken, or the token was forced.
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
    tail: tuple[float, ...]
    seen: float
    stages: tuple[StageRecord, ...]

    @property
    def logprob(self) -> float:
        """Return the natural logarithm of the raw probability of the token."""
        return self.logit - self.logsumexp

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain numbers and lists, for `--trace`; None for an infinity."""
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
            "tail": [x if math.isfinite(x) else None for x in self.tail],
            "seen": self.seen if math.isfinite(self.seen) else None,
            "stages": [stage.as_json() for stage in self.stages],
        }


MODEL = Message("the model's logits")
MODEL_REMEDY = Message("try again, or load another file of this model")
STAGE_REMEDY = Message("set it milder or turn it off")


def check_peak(peak: float, source: str, remedy: str) -> None:
    """Raise ReplyFailed if the maximum of the scores, `peak`, is NaN or infinite.

    No token can be drawn from such scores.

    `source` names in the message what gave the scores, `remedy` what to do about it.
    """
    if math.isfinite(peak):
        return
    if math.isnan(peak):
        raise ReplyFailed(
            "{source} held a NaN, which is not a number: {remedy}", source=source, remedy=remedy
        )
    if peak > 0:
        raise ReplyFailed("{source} held an infinite score: {remedy}", source=source, remedy=remedy)
    raise ReplyFailed(
        "{source} left no token to choose from: {remedy}", source=source, remedy=remedy
    )


def make_record(
    raw: Distribution,
    likeliest: Ids,
    tail: tuple[Tail, float],
    token_id: int,
    probability: float,
    u: float | None,
    stages: tuple[StageRecord, ...],
    *,
    forced: bool = False,
) -> StepRecord:
    """Return the record of one choice.

    `likeliest` is `raw.candidates(TOP_CANDIDATES)`, `tail` is the result of `raw.tail` without the
    candidates, `u` the draw in [0, 1) or None.
    """
    top = likeliest[:TOP_CANDIDATES]
    found = np.flatnonzero(top == token_id)
    return StepRecord(
        token_id=token_id,
        logit=float(raw.scores[token_id]),
        logsumexp=raw.logsumexp,
        entropy=raw.entropy,
        rank=int(found[0]) if found.size else _rank(raw.scores, token_id),
        probability=probability,
        u=u,
        forced=forced,
        top_ids=top.astype(np.int32),
        top_logits=raw.scores[top],
        tail=tail[0],
        seen=tail[1],
        stages=stages,
    )


def _rank(scores: Row, token_id: int) -> int:
    """Return the number of tokens that score higher than `token_id`, or equal with a lower id."""
    logit = scores[token_id]
    above = np.count_nonzero(scores > logit)
    return int(above + np.count_nonzero(scores[:token_id] == logit))
