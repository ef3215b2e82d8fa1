"""Numbers for each token of a reply: those of a heat map, and its likelihood under settings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import CandidateSet, Mask
from glasschat.glass.rebuild import rebuild
from glasschat.glass.tail_bounds import Wide
from glasschat.glass.trace import Trace
from glasschat.sampling import SamplingParams


def _id_order(candidates: CandidateSet) -> NDArray[np.intp]:
    """Return the columns of the list in the order of their ids, [n, 64]."""
    return np.argsort(candidates.ids, axis=1, kind="stable")


def _probabilities(candidates: CandidateSet) -> Wide:
    """Return the probabilities in the order of the ids, [n, 64]; the middle of their bounds."""
    found = candidates.weights / np.maximum(candidates.total, 1e-300)[:, None]
    return np.take_along_axis(found, _id_order(candidates), axis=1)


def _may_remain(candidates: CandidateSet) -> Mask:
    """Return which candidates may remain, in the order of their ids, bool [n, 64]."""
    return np.take_along_axis(candidates.scores > -np.inf, _id_order(candidates), axis=1)


def _certainly_remain(candidates: CandidateSet) -> Mask:
    """Return which candidates certainly remain, in the order of their ids, bool [n, 64]."""
    remain = (candidates.scores > -np.inf) & ~candidates.uncertain
    return np.take_along_axis(remain, _id_order(candidates), axis=1)


def certainly_differ(one: CandidateSet, two: CandidateSet) -> Mask:
    """Return where a listed candidate certainly remains in one and is removed in the other, [n]."""
    only_one = _certainly_remain(one) & ~_may_remain(two)
    only_two = _certainly_remain(two) & ~_may_remain(one)
    found: Mask = np.any(only_one | only_two, axis=1)
    return found & ~(one.unknown | two.unknown)


def total_variation_bounds(one: CandidateSet, two: CandidateSet) -> tuple[Wide, Wide]:
    """Return bounds for the total variation between two distributions, each [n] in [0, 1].

    It is half the sum of all differences of probabilities: the share of draws that fall on another
    token, if the candidates are laid out to differ as little as possible. The unlisted tokens count
    as one token in the lower bound, and as entirely different tokens in the upper one. The bounds
    hold where it is certain which candidates remain in both.
    """
    before, after = _probabilities(one), _probabilities(two)
    rest_before = np.clip(1.0 - before.sum(axis=1), 0.0, 1.0)
    rest_after = np.clip(1.0 - after.sum(axis=1), 0.0, 1.0)
    more = np.maximum(after - before, 0.0).sum(axis=1)
    less = np.maximum(before - after, 0.0).sum(axis=1)
    least = np.maximum(
        more + np.maximum(rest_after - rest_before, 0.0),
        less + np.maximum(rest_before - rest_after, 0.0),
    )
    most = np.minimum(np.minimum(more + rest_after, less + rest_before), 1.0)
    return np.minimum(least, most), most


# A heat map shows no finer differences.
_EXACT = 0.005


@dataclass(frozen=True, eq=False)
class Values:
    """The numbers of `n` tokens; arrays are float64 [n] except where noted.

    Exact, as recorded: `probability` is what the model gave the token, before any setting, and
    `surprise` the same in bits; `rank` (int32) is its place among all tokens, 0 the likeliest;
    `entropy` in bits is of the model's whole row, which the sampler computed from all logits;
    `drawn` is the probability that the settings left the token.

    `change` in [0, 1] is how much the settings changed the choice: the total variation between the
    model's softmax and the distribution that was drawn from, that is the share of draws that fall
    on another token. It is the middle of an interval: where it is not `exact` (bool), the unlisted
    tokens could move it by more than 0.005. It is NaN where it is not known behind a custom stage.
    """

    probability: Wide
    surprise: Wide
    rank: NDArray[np.int32]
    entropy: Wide
    drawn: Wide
    change: Wide
    exact: Mask


def values(trace: Trace) -> Values:
    """Return the numbers of all tokens of `trace`."""
    columns = trace.columns
    logprob = columns.logit.astype(np.float64) - columns.logsumexp
    rebuilt = rebuild(trace)
    least, most = total_variation_bounds(rebuilt.candidate_sets[0], rebuilt.final)
    unknown = rebuilt.final.unknown
    if trace.params.greedy:
        # The likeliest is taken, and the record has which: all other probability is moved to it.
        low, high = _best_probability_bounds(trace)
        least, most = 1.0 - high, 1.0 - low
        unknown = np.zeros_like(unknown)
    return Values(
        probability=np.exp(logprob),
        surprise=np.maximum(-logprob / np.log(2.0), 0.0),
        rank=columns.rank,
        entropy=columns.entropy / np.log(2.0),
        drawn=columns.probability,
        change=np.where(unknown, np.nan, (least + most) / 2),
        exact=rebuilt.final.certain & (most - least < 2 * _EXACT),
    )


def _best_probability_bounds(trace: Trace) -> tuple[Wide, Wide]:
    """Return bounds ([n]) for the model's probability of the token that a greedy reply takes.

    That is the recorded best one behind the last stage, also where another was taken by hand.
    """
    columns = trace.columns
    best = columns.best[:, -1] if columns.stages else columns.ids[:, 0]
    place = np.argmax(columns.ids == best[:, None], axis=1)[:, None]
    found = np.take_along_axis(columns.ids, place, axis=1)[:, 0] == best
    logit = np.take_along_axis(columns.logits, place, axis=1)[:, 0].astype(np.float64)
    # One that is not listed is at most as likely as the last that is.
    low = np.where(found, np.exp(logit - columns.logsumexp), 0.0)
    last = np.exp(columns.logits[:, -1].astype(np.float64) - columns.logsumexp)
    return low, np.where(found, low, last)


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """The probability ([n], float64) that settings leave each token; 0 for one that they remove.

    Where it is not `known` (bool [n]) the token is not among the recorded candidates, or they do
    not suffice to say whether it would remain.
    """

    probability: Wide
    known: Mask


def likelihoods(trace: Trace, params: SamplingParams) -> Likelihoods:
    """Return how likely each token of `trace` is under `params`, behind the text as it was."""
    final = rebuild(trace, params).final
    chosen = final.ids == trace.columns.token_id[:, None]
    at = np.argmax(chosen, axis=1)[:, None]
    listed = np.take_along_axis(chosen, at, axis=1)[:, 0]
    weight = np.take_along_axis(final.weights, at, axis=1)[:, 0]
    uncertain = np.take_along_axis(final.uncertain, at, axis=1)[:, 0]
    return Likelihoods(
        probability=np.where(listed, weight / final.total, 0.0),
        known=listed & ~uncertain & ~final.unknown,
    )
