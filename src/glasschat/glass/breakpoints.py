"""Breakpoints of the debugger: conditions on the record of the next choice, or on the text."""

import math
from dataclasses import dataclass

from glasschat.errors import ParameterError
from glasschat.sampling import StepRecord


@dataclass(frozen=True, slots=True)
class ProbabilityBelow:
    """Pauses before a choice whose raw probability is below `limit`, above 0 and at most 1."""

    limit: float

    def __post_init__(self) -> None:
        if not 0 < self.limit <= 1:
            raise ParameterError("limit", "a probability above 0 and at most 1", self.limit)

    def before(self, coming: StepRecord) -> bool:
        """Return whether the raw probability of the coming token is below the limit."""
        return math.exp(coming.logprob) < self.limit

    def after(self, text: str, new: int) -> bool:
        """Return False: the condition is on the choice alone."""
        return False


@dataclass(frozen=True, slots=True)
class EntropyAbove:
    """Pauses before a choice where the model's row has an entropy above `bits`, at least 0."""

    bits: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bits) and self.bits >= 0):
            raise ParameterError("bits", "a number of bits of at least 0", self.bits)

    def before(self, coming: StepRecord) -> bool:
        """Return whether the entropy of the coming row is above the limit."""
        return coming.entropy / math.log(2) > self.bits

    def after(self, text: str, new: int) -> bool:
        """Return False: the condition is on the choice alone."""
        return False


@dataclass(frozen=True, slots=True)
class TextAppears:
    """Pauses behind the token with which `text` has appeared in the reply."""

    text: str

    def __post_init__(self) -> None:
        if not self.text:
            raise ParameterError("text", "a text that is not empty", self.text)

    def before(self, coming: StepRecord) -> bool:
        """Return False: the condition is on the text alone."""
        return False

    def after(self, text: str, new: int) -> bool:
        """Return whether the text appears with the `new` characters at the end of `text`."""
        return text.find(self.text, max(0, len(text) - new - len(self.text) + 1)) >= 0


@dataclass(frozen=True, slots=True)
class BestChanges:
    """Pauses before a choice where a stage changes the best token: `stage`, or any for None."""

    stage: str | None = None

    def before(self, coming: StepRecord) -> bool:
        """Return whether a stage puts another token first than its input had."""
        best = int(coming.top_ids[0])
        for stage in coming.stages:
            if stage.best != best and self.stage in (None, stage.name):
                return True
            best = stage.best
        return False

    def after(self, text: str, new: int) -> bool:
        """Return False: the condition is on the choice alone."""
        return False
