"""A stage of one's own between fences: whatever it does wrong ends its own reply, in words."""

import importlib
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glasschat.errors import ReplyFailed
from glasschat.sampling.own.asked import OwnStage
from glasschat.sampling.stages import Stage, StageContext, StageKind
from glasschat.sampling.workspace import Row

_LONGEST = 300
# Between us and what somebody wrote: our own code, imports, what dataclasses write.
_OURS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<")


@dataclass(frozen=True, slots=True)
class GuardedStage:
    """Runs a stage and looks at what it returns.

    Raises ReplyFailed, naming the stage, where it raises or ends the process, returns something
    else than float32 [vocab], or brings back tokens that were removed before it. NaN, infinity and
    a row without tokens are refused behind every stage. Two are equal that do the same.
    """

    asked: OwnStage
    stage: Stage = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """See Stage.name."""
        return self.asked.name

    @property
    def kind(self) -> StageKind:
        """See Stage.kind."""
        return self.asked.kind

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """The scores after the stage."""
        try:
            after = self.stage(scores, context)
        except (Exception, SystemExit) as error:
            raise ReplyFailed(f"the stage {self.name} failed: {told(error)}") from error
        if after is scores:
            return scores
        if type(after) is not np.ndarray:
            raise ReplyFailed(
                f"the stage {self.name} returned {type(after).__name__} and no array: "
                "return the scores"
            )
        if after.shape != scores.shape or after.dtype != np.float32:
            raise ReplyFailed(
                f"the stage {self.name} returned {after.dtype} {list(after.shape)}, and it was "
                f"given float32 {list(scores.shape)}: return the same"
            )
        # A later stage may forget what a grammar forbade, or a cut before it took away.
        if np.any((after > -np.inf) & (scores == -np.inf)):
            raise ReplyFailed(
                f"the stage {self.name} brought back a token that was removed before it: leave "
                "scores of -inf as they are"
            )
        return after


def told(error: BaseException) -> str:
    """An error of somebody's code in a line: kind, words, and the deepest place in their file."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST].rstrip(": ")
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OURS)
    ]
    theirs = [frame for frame in frames if frame.filename == frames[0].filename]
    if not theirs:
        return words
    return f"{words} ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})"
