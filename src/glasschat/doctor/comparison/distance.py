"""Checks how far the predictions of two models are apart, against what is usual."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from glasschat.doctor.comparison.measurement import (
    REPLY,
    Distance,
    DivergentReply,
    Progress,
    measure,
)
from glasschat.doctor.comparison.pair import ModelPair
from glasschat.doctor.comparison.scoring import NonFiniteLogits
from glasschat.doctor.finding import Finding, Mark, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import format_number, plural, quote
from glasschat.errors import GlasschatError


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for one number of bits a weight: pass up to `usual`, warn up to `most`, then fail.

    `kl` is in nats a token, `same` the share of places with the same likeliest token.
    """

    kl_usual: float
    kl_most: float
    same_usual: float
    same_least: float

    def mark_kl(self, mean: float) -> Mark:
        """Return the mark for a mean KL divergence in nats a token."""
        if mean <= self.kl_usual:
            return Mark.PASS
        return Mark.WARN if mean <= self.kl_most else Mark.FAIL

    def mark_same(self, share: float) -> Mark:
        """Return the mark for a share of places with the same likeliest token."""
        if share >= self.same_usual:
            return Mark.PASS
        return Mark.WARN if share >= self.same_least else Mark.FAIL


# By the bits of a weight in the coarser of the two; the first row whose bits are there counts.
_BY_BITS: tuple[tuple[int, Bounds], ...] = (
    (16, Bounds(0.005, 0.05, 0.93, 0.85)),
    (8, Bounds(0.01, 0.05, 0.92, 0.80)),
    (6, Bounds(0.03, 0.15, 0.88, 0.75)),
    (5, Bounds(0.06, 0.4, 0.85, 0.65)),
    (4, Bounds(0.15, 0.8, 0.80, 0.55)),
    (0, Bounds(0.15, 1.5, 0.80, 0.40)),
)
# A reply that parts where the reference preferred its token by more than this is no close call.
SURE = 0.5


def bounds_for(bits: int) -> Bounds:
    """Return the limits for a comparison whose coarser model has `bits` a weight."""
    return next(bounds for least, bounds in _BY_BITS if bits >= least)


_ONE_MODEL = (
    "storing weights with so many bits does not cost as much: the two are not one model, or a "
    "conversion went wrong; get both from one publisher, or convert the one from the other"
)
_FINER = "choose a finer quantisation where there is memory for it"


def distance(pair: ModelPair, progress: Progress) -> Iterator[Finding]:
    """Load one model after the other, let both read the same ids, and report how they differ."""
    try:
        measured = measure(pair, progress)
    except NonFiniteLogits:
        yield report_failure(
            "divergence",
            "one of the models computes what is no number",
            "look at its weights: get the files again, or another conversion",
        )
    except GlasschatError as error:
        yield report_failure(
            "divergence",
            f"the two could not be run: {error}",
            "free memory, or choose smaller files, and compare again",
        )
    else:
        yield from evaluate(pair, measured)


def evaluate(pair: ModelPair, measured: Distance) -> Iterator[Finding]:
    """Return the findings for a measurement, by the bounds for the coarser of the two models."""
    bits = min(pair.model.metadata.bits, pair.reference.metadata.bits)
    bounds = bounds_for(bits)
    usual_for = "unquantised weights" if bits >= 16 else f"weights of {plural(bits, 'bit')}"
    kl, places = np.array(measured.kl), len(measured.kl)
    mean, median, largest = float(kl.mean()), float(np.median(kl)), float(kl.max())
    yield _finding_for(
        bounds.mark_kl(mean),
        "divergence",
        f"KL {mean:.2g} a token over {places:,} places (median {median:.2g}, largest "
        f"{largest:.2g} in {quote(measured.worst)}); "
        f"up to {format_number(bounds.kl_usual)} is usual for {usual_for}",
        {
            "mean": mean,
            "median": median,
            "p99": float(np.percentile(kl, 99)),
            "largest": largest,
            "largest_in": measured.worst,
            "places": places,
            "usual": bounds.kl_usual,
            "most": bounds.kl_most,
        },
    )
    share = float(np.mean(measured.same))
    yield _finding_for(
        bounds.mark_same(share),
        "top-1",
        f"the likeliest token is the same at {share:.1%} of {places:,} places; "
        f"{bounds.same_usual:.0%} or more is usual for {usual_for}",
        {"share": share, "usual": bounds.same_usual, "least": bounds.same_least},
    )
    yield _reply_finding(pair, measured)


def _finding_for(mark: Mark, check: str, found: str, details: dict[str, Any]) -> Finding:
    if mark is Mark.PASS:
        return report_pass(check, found, **details)
    if mark is Mark.WARN:
        return report_warning(check, found, f"answers will differ noticeably: {_FINER}", **details)
    return report_failure(check, found, _ONE_MODEL, **details)


def _reply_finding(pair: ModelPair, measured: Distance) -> Finding:
    first = min(measured.divergent_replies, key=lambda parting: parting.place, default=None)
    surest = max(measured.divergent_replies, key=lambda parting: parting.lead, default=None)
    same = measured.replies - len(measured.divergent_replies)
    summary = (
        f"{same} of {plural(measured.replies, 'greedy reply', 'greedy replies')} are the same "
        f"for {REPLY} tokens"
    )
    details = {
        "replies": measured.replies,
        "tokens": REPLY,
        "same": same,
        "first_divergence": first.place if first else None,
        "partings": [_described(parting) for parting in measured.divergent_replies],
    }
    if first is None or surest is None:
        return report_pass("replies", summary, **details)
    summary += f", the first parts after {first.place:,}"
    if surest.lead <= SURE:
        return report_pass(
            "replies", f"{summary}; {_describe_divergence(pair, first)}, a close call", **details
        )
    return report_warning(
        "replies",
        f"{summary}; {_describe_divergence(pair, surest)}, no close call",
        f"{_FINER}, and compare answers to questions of your own",
        **details,
    )


def _describe_divergence(pair: ModelPair, parting: DivergentReply) -> str:
    theirs, ours = pair.reference.piece(parting.reference), pair.model.piece(parting.model)
    return (
        f"in the reply to {quote(parting.text)} {theirs}, ahead by {parting.lead:.1%}, becomes "
        f"{ours}"
    )


def _described(parting: DivergentReply) -> dict[str, Any]:
    return {
        "text": parting.text,
        "place": parting.place,
        "reference": parting.reference,
        "model": parting.model,
        "lead": parting.lead,
    }
