"""Where a debugger may pause a reply: pure questions to a record or to the text."""

import math
from dataclasses import dataclass

from glasschat.errors import ParameterError
from glasschat.sampling import StepRecord


@dataclass(frozen=True, slots=True)
class ProbabilityBelow:
    """Before a choice to which the model itself gave less than `limit`, above 0 and at most 1."""

    limit: float

    def __post_init__(self) -> None:
        if not 0 < self.limit <= 1:
            raise ParameterError("limit", "a probability above 0 and at most 1", self.limit)

    def before(self, coming: StepRecord) -> bool:
        """See Breakpoint.before."""
        return math.exp(coming.logprob) < self.limit

    def after(self, text: str, new: int) -> bool:
        """See Breakpoint.after."""
        return False


@dataclass(frozen=True, slots=True)
class EntropyAbove:
    """Before a choice where the model's row has more than `bits` of entropy, at least 0."""

    bits: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bits) and self.bits >= 0):
            raise ParameterError("bits", "a number of bits of at least 0", self.bits)

    def before(self, coming: StepRecord) -> bool:
        """See Breakpoint.before."""
        return coming.entropy / math.log(2) > self.bits

    def after(self, text: str, new: int) -> bool:
        """See Breakpoint.after."""
        return False


@dataclass(frozen=True, slots=True)
class TextAppears:
    """Behind the token with which `text` has appeared in the reply."""

    text: str

    def __post_init__(self) -> None:
        if not self.text:
            raise ParameterError("text", "a text that is not empty", self.text)

    def before(self, coming: StepRecord) -> bool:
        """See Breakpoint.before."""
        return False

    def after(self, text: str, new: int) -> bool:
        """See Breakpoint.after."""
        return text.find(self.text, max(0, len(text) - new - len(self.text) + 1)) >= 0


@dataclass(frozen=True, slots=True)
class BestChanges:
    """Before a choice where a stage puts another token first; `stage` alone, any for None."""

    stage: str | None = None

    def before(self, coming: StepRecord) -> bool:
        """See Breakpoint.before."""
        best = int(coming.top_ids[0])
        for stage in coming.stages:
            if stage.best != best and self.stage in (None, stage.name):
                return True
            best = stage.best
        return False

    def after(self, text: str, new: int) -> bool:
        """See Breakpoint.after."""
        return False
