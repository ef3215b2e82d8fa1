"""One number for each token of a reply: what a heat map is tinted by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.aligned import distance
from glasschat.glass.candidates import Mask
from glasschat.glass.rebuild import rebuild
from glasschat.glass.tail_bounds import Wide
from glasschat.glass.trace import Trace

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
