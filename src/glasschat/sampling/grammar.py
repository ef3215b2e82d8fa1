"""A stage that keeps a reply inside a grammar, whatever library knows the grammar."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.history import Ids
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row


class TokenMatcher(Protocol):
    """Knows which tokens may come next."""

    def allowed(self, ids: Ids) -> NDArray[np.bool_]:
        """A mask, bool [vocab], of what may follow the reply `ids`; end tokens where it may end.

        It depends on `ids` alone, though it is quickest when they grow by one each time. Raises
        ReplyFailed when `ids` are outside the grammar already.
        """


class Grammar:
    """Removes every token that the grammar does not allow. It belongs before all other stages:
    what they penalise or keep are then tokens that may come.
    """

    name = "grammar"
    kind: StageKind = "processor"

    def __init__(self, matcher: TokenMatcher) -> None:
        self._matcher = matcher

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores with -inf for what is not allowed."""
        allowed = self._matcher.allowed(context.history.output_ids)
        return np.where(allowed, scores, np.float32(-np.inf))
