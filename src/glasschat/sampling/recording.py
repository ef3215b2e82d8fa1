"""What the two ways to run the stages share: refusing bad scores, writing down what happened."""

import math

import numpy as np

from glasschat.errors import ReplyFailed
from glasschat.sampling.distribution import Distribution, Ids, Tail
from glasschat.sampling.trace import TOP_CANDIDATES, StageRecord, StepRecord
from glasschat.sampling.workspace import Row

MODEL = "the model's logits"
MODEL_REMEDY = "try again, or load another file of this model"
STAGE_REMEDY = "set it milder or turn it off"


def check_peak(peak: float, source: str, remedy: str) -> None:
    """Refuse scores by their maximum, which is NaN or infinite if they cannot be drawn from."""
    if math.isfinite(peak):
        return
    if math.isnan(peak):
        raise ReplyFailed(f"{source} held a NaN, which is not a number: {remedy}")
    if peak > 0:
        raise ReplyFailed(f"{source} held an infinite score: {remedy}")
    raise ReplyFailed(f"{source} left no token to choose from: {remedy}")


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
    """The record of one choice, from `raw.candidates(TOP_CANDIDATES)` and `raw.tail`."""
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
    """How many tokens come before `token_id`: those above it, and equals of a lower id."""
    logit = scores[token_id]
    above = np.count_nonzero(scores > logit)
    return int(above + np.count_nonzero(scores[:token_id] == logit))
