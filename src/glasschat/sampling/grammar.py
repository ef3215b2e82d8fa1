"""Grammar stage: restricts a reply to a grammar, with any grammar library behind `TokenMatcher`."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.history import Ids
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row


class TokenMatcher(Protocol):
    """Tells which tokens a grammar allows next."""

    def allowed(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask, bool [vocab], of the tokens that may follow the reply `ids`, int64 [n].

        End tokens are allowed where the reply may end. The mask depends on `ids` alone, though it
        is quickest when they grow by one each time. Raises ReplyFailed when `ids` are outside the
        grammar already.
        """


class Grammar:
    """Removes every token that the grammar does not allow.

    It belongs before all other stages: the tokens that they penalise or keep are then tokens that
    the grammar allows.
    """

    name = "grammar"
    kind: StageKind = "processor"

    def __init__(self, matcher: TokenMatcher) -> None:
        self._matcher = matcher

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores, float32 [vocab], with -inf for all tokens that are not allowed."""
        allowed = self._matcher.allowed(context.history.output_ids)
        return np.where(allowed, scores, np.float32(-np.inf))
