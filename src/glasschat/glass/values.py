"""One number for each token of a reply: what a heat map is tinted by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import CandidateSet, Mask
from glasschat.glass.rebuild import rebuild
from glasschat.glass.tail_bounds import Wide
from glasschat.glass.trace import Trace
from glasschat.sampling import SamplingParams


def by_id(layer: CandidateSet) -> NDArray[np.intp]:
    """Where the candidates stand when they are put in the order of their ids, [n, 64]."""
    return np.argsort(layer.ids, axis=1, kind="stable")


def shares(layer: CandidateSet) -> Wide:
    """The probabilities in the order of the ids, [n, 64]; the middle of what is known."""
    found = layer.weights / np.maximum(layer.middle, 1e-300)[:, None]
    return np.take_along_axis(found, by_id(layer), axis=1)


def left(layer: CandidateSet) -> Mask:
    """Which candidates are left, in the order of their ids, [n, 64]."""
    return np.take_along_axis(layer.scores > -np.inf, by_id(layer), axis=1)


def parted(one: CandidateSet, two: CandidateSet) -> Mask:
    """Where a listed candidate is certainly left in one and certainly gone in the other, [n]."""
    kept, gone = surely_left(one), ~left(one)
    found: Mask = np.any((kept & ~left(two)) | (gone & surely_left(two)), axis=1)
    return found & ~(one.guessed | two.guessed)


def surely_left(layer: CandidateSet) -> Mask:
    """Which candidates certainly are left, in the order of their ids, [n, 64]."""
    kept = (layer.scores > -np.inf) & ~layer.maybe
    return np.take_along_axis(kept, by_id(layer), axis=1)


def distance(one: CandidateSet, two: CandidateSet) -> tuple[Wide, Wide]:
    """Between what and what the total variation of two distributions lies, [n] in [0, 1].

    Half the sum of all differences of probabilities: the share of draws that fall elsewhere, if
    the candidates are laid out to differ as little as may be. The tokens that are not listed count
    as one at least, and as wholly other tokens at most. It means nothing where it is not certain
    who is left in both.
    """
    before, after = shares(one), shares(two)
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
    """The numbers of `n` tokens, each [n].

    `probability` is what the model gave the token, before any setting, and `surprise` the same in
    bits; `rank` its place among all tokens, 0 the likeliest. `entropy` is that of the model's whole
    row in bits: the sampler computed it from all logits, so nothing of it is guessed. `drawn` is
    the probability that the settings left the token. `change` in [0, 1] is how much they changed
    the choice: the total variation between the model's softmax and what was drawn from, that is
    the share of draws that fall on another token. Where it is not `exact`, the tokens that are not
    recorded one by one could move it by more than 0.005.
    """

    probability: Wide
    surprise: Wide
    rank: NDArray[np.int32]
    entropy: Wide
    drawn: Wide
    change: Wide
    exact: Mask


def values(trace: Trace) -> Values:
    """The numbers of all tokens of `trace`."""
    columns = trace.columns
    logprob = columns.logit.astype(np.float64) - columns.logsumexp
    layers = rebuild(trace).layers
    least, most = distance(layers[0], layers[-1])
    if trace.params.greedy:
        # The likeliest is taken: all the rest of what the model said counts for nothing.
        low, high = _best_share(trace)
        least, most = 1.0 - high, 1.0 - low
    return Values(
        probability=np.exp(logprob),
        surprise=np.maximum(-logprob / np.log(2.0), 0.0),
        rank=columns.rank,
        entropy=columns.entropy / np.log(2.0),
        drawn=columns.probability,
        change=(least + most) / 2,
        exact=layers[-1].sure & (most - least < 2 * _EXACT),
    )


def _best_share(trace: Trace) -> tuple[Wide, Wide]:
    """Between what and what the probability lies that the model gave the token a greedy reply
    takes, also where one was taken by hand.
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
