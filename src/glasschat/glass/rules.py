"""By which rule a stage removed a candidate, as a sentence."""

import numpy as np

from glasschat.glass.candidates import Layer
from glasschat.glass.words import N_, Sentence
from glasschat.sampling import (
    Grammar,
    LogitBias,
    MinNewTokens,
    MinP,
    NoRepeatNGram,
    Stage,
    TopK,
    TopP,
    TypicalP,
)

_TOP_K = N_("rank {rank}, and top-k keeps the best {k}")
_TOP_P = N_("the {better} better ones hold {share:.1%}, and top-p stops at {p:.1%}")
_MIN_P = N_("{share:.2%} of the best one's probability, and min-p asks for {p:.2%}")
_TYPICAL_P = N_("its surprise is too far from the usual one, which typical-p wants")
_N_GRAM = N_("it would repeat a run of {size} tokens")
_TOO_EARLY = N_("the reply may not end before {length} tokens")
_NEVER_ENDS = N_("end tokens are suppressed")
_BIAS = N_("its bias forbids it")
_GRAMMAR = N_("the grammar does not allow it here")
_OWN = N_("the stage {stage} removed it")


def rule(stage: Stage, before: Layer, at: int, *, output_length: int) -> Sentence:
    """Why `stage` removed the candidate that stood at place `at` of the layer of one token.

    `output_length` is how many tokens the reply had by then.
    """
    weights, total = before.weights[0], float(before.middle[0])
    match stage:
        case TopK():
            return Sentence(_TOP_K, {"rank": at + 1, "k": stage.top_k})
        case TopP():
            share = float(np.sum(weights[:at])) / total
            return Sentence(_TOP_P, {"better": at, "share": share, "p": stage.top_p})
        case MinP():
            return Sentence(_MIN_P, {"share": float(weights[at]), "p": stage.min_p})
        case NoRepeatNGram():
            return Sentence(_N_GRAM, {"size": stage.size})
        case MinNewTokens():
            if output_length < stage.length:
                return Sentence(_TOO_EARLY, {"length": stage.length})
            return Sentence(_NEVER_ENDS)
        case TypicalP():
            return Sentence(_TYPICAL_P)
        case LogitBias():
            return Sentence(_BIAS)
        case _ if stage.name == Grammar.name:
            return Sentence(_GRAMMAR)
        case _:
            return Sentence(_OWN, {"stage": stage.name})
