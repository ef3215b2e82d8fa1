"""The difference of two recorded replies: where they diverge, and by how much."""

from dataclasses import dataclass, fields

import numpy as np

from glasschat.glass.trace import Trace
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Side:
    """One trace at the place where two diverge.

    `token_id` is None where this reply ends. `probability` is what the model gave the token,
    `drawn` what the settings left it, `other` what the model gave the other trace's token: None
    where that is not among the recorded candidates.
    """

    token_id: int | None
    probability: float | None
    drawn: float | None
    other: float | None


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference of two traces.

    `prompt_place` is the first id of the prompts that differs, `settings` the names of settings
    that do, `seeds` whether they had other seeds. `place` is the first token that is another one,
    or that only one of them has; None if all are the same. Up to and with it `compared` tokens had
    the same text before them; `logit_place` is the first of these where the model's logits differ,
    by at most `logit_difference` there and by at most `largest` at any of them.
    """

    prompt_place: int | None
    settings: tuple[str, ...]
    seeds: bool
    place: int | None
    compared: int
    logit_place: int | None
    logit_difference: float
    largest: float
    sides: tuple[Side, Side] | None

    @property
    def same(self) -> bool:
        """Whether prompts and tokens are the same."""
        return self.prompt_place is None and self.place is None


def diff(one: Trace, two: Trace) -> Diff:
    """Compare prompts, settings, tokens and logits of two traces."""
    prompt = first_difference(one.prompt.ids, two.prompt.ids)
    place = first_difference(one.token_ids, two.token_ids)
    both = min(len(one), len(two))
    compared = 0 if prompt is not None else both if place is None else min(both, place + 1)
    differences = [_logit_difference(one, two, at) for at in range(compared)]
    logit_place = next((at for at, by in enumerate(differences) if by > 0), None)
    return Diff(
        prompt_place=prompt,
        settings=tuple(
            item.name
            for item in fields(SamplingParams)
            if item.name != "seed"
            and getattr(one.params, item.name) != getattr(two.params, item.name)
        ),
        seeds=one.seed != two.seed,
        place=place,
        compared=compared,
        logit_place=logit_place,
        logit_difference=0.0 if logit_place is None else differences[logit_place],
        largest=max(differences, default=0.0),
        sides=None if place is None else (_side(one, two, place), _side(two, one, place)),
    )


def first_difference(one: tuple[int, ...], two: tuple[int, ...]) -> int | None:
    """Return the first place that differs, for a beginning of the other its end; None if equal."""
    for place, (left, right) in enumerate(zip(one, two, strict=False)):
        if left != right:
            return place
    return None if len(one) == len(two) else min(len(one), len(two))


def _logit_difference(one: Trace, two: Trace, place: int) -> float:
    """Return the largest difference of a candidate that both list; infinite if they share none."""
    left, right = one.columns, two.columns
    shared, at_left, at_right = np.intersect1d(
        left.ids[place], right.ids[place], return_indices=True
    )
    real = shared >= 0
    if not real.any():
        return float("inf")
    wide = left.logits[place, at_left[real]].astype(np.float64)
    return float(np.abs(wide - right.logits[place, at_right[real]]).max())


def _side(trace: Trace, other: Trace, place: int) -> Side:
    if place >= len(trace):
        return Side(None, None, None, None)
    record = trace.record(place)
    theirs = None
    if place < len(other):
        found = np.flatnonzero(record.top_ids == other.columns.token_id[place])
        if found.size:
            theirs = float(np.exp(float(record.top_logits[found[0]]) - record.logsumexp))
    probability = float(np.exp(record.logprob))
    return Side(record.token_id, probability, record.probability, theirs)
