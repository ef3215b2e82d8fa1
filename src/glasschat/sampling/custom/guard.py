"""Guard around a custom stage: whatever it does wrong ends its own reply, with a message."""

import importlib
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glasschat.errors import ReplyFailed
from glasschat.messages import Message
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.stages import Stage, StageContext, StageKind
from glasschat.sampling.workspace import Row

_LONGEST = 300
# Frames of a traceback that are not the author's: this package, imports, generated dataclass code.
_OURS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<")


@dataclass(frozen=True, slots=True)
class GuardedStage:
    """Runs a custom stage and checks what it returns.

    Raises ReplyFailed, naming the stage, where it raises or ends the process, returns something
    else than float32 [vocab], or brings back tokens that were removed before it. NaN, infinity and
    a row without tokens are refused after every stage. Two guarded stages with the same name, kind
    and values are equal.
    """

    custom: CustomStage
    stage: Stage = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name that records and errors use."""
        return self.custom.name

    @property
    def kind(self) -> StageKind:
        """Whether the class calls itself a processor or a warper."""
        return self.custom.kind

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores after the stage, float32 [vocab]."""
        try:
            after = self.stage(scores, context)
        except (Exception, SystemExit) as error:
            raise ReplyFailed(
                "the stage {name} failed: {error}", name=self.name, error=describe_error(error)
            ) from error
        if after is scores:
            return scores
        if type(after) is not np.ndarray:
            raise ReplyFailed(
                "the stage {name} returned {type} and no array: return the scores",
                name=self.name,
                type=type(after).__name__,
            )
        if after.shape != scores.shape or after.dtype != np.float32:
            raise ReplyFailed(
                "the stage {name} returned {dtype} {shape}, and it was given float32 {expected}: "
                "return the same",
                name=self.name,
                dtype=after.dtype,
                shape=list(after.shape),
                expected=list(scores.shape),
            )
        # Otherwise it could undo a grammar, or a cut before it.
        if np.any((after > -np.inf) & (scores == -np.inf)):
            raise ReplyFailed(
                "the stage {name} brought back a token that was removed before it: leave scores "
                "of -inf as they are",
                name=self.name,
            )
        return after


def describe_error(error: BaseException) -> str:
    """Return an error of an author's code in one line: type, text, deepest line of their file."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST].rstrip(": ")
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OURS)
    ]
    theirs = [frame for frame in frames if frame.filename == frames[0].filename]
    if not theirs:
        return words
    return Message(
        "{words} ({file}, line {line})",
        words=words,
        file=Path(theirs[-1].filename).name,
        line=theirs[-1].lineno,
    )
