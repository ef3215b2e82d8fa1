"""Stages as somebody else would write them, good ones and bad ones."""

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling import StageContext, StageKind

Row = NDArray[np.float32]


class Case(Enum):
    """Which letters."""

    LOWER = "abcdefghijklmnopqrstuvwxyz"
    UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Letters:
    """Weakens the letters of one case, where tokens are bytes.

    The rest of what there is to say.
    """

    name: ClassVar[str] = "letters"
    kind: ClassVar[StageKind] = "processor"
    label: ClassVar[str] = "Fewer *letters*"
    by: float = field(
        default=2.0,
        metadata={"label": "How much", "help": "In logits.", "min": 0, "max": 50, "step": 0.5},
    )
    case: Case = Case.LOWER
    end: Literal["never", "as it is"] = "as it is"
    spare: str = ""
    at_least: int = field(default=0, metadata={"min": 0})
    spaces: bool = False

    def __call__(self, scores: Row, context: StageContext) -> Row:
        if context.history.output_length < self.at_least:
            return scores
        after = scores.copy()
        ids = [ord(letter) for letter in self.case.value if letter not in self.spare]
        after[ids + [ord(" ")] * self.spaces] -= np.float32(self.by)
        if self.end == "never":
            after[list(context.end_ids)] = -np.inf
        return after


@dataclass(frozen=True)
class Half:
    """Leaves the better half of what is left."""

    name: ClassVar[str] = "half"
    kind: ClassVar[StageKind] = "warper"

    def __call__(self, scores: Row, context: StageContext) -> Row:
        alive = scores[scores > -np.inf]
        middle = np.sort(alive)[len(alive) // 2]
        return np.where(scores >= middle, scores, np.float32(-np.inf))


@dataclass(frozen=True)
class Wrong:
    """Does something that no stage may, from some token of the reply on."""

    name: ClassVar[str] = "wrong"
    kind: ClassVar[StageKind] = "processor"
    how: str = "raise"
    token: int = 0

    def __call__(self, scores: Row, context: StageContext) -> Any:
        if context.history.output_length < self.token:
            return scores
        match self.how:
            case "raise":
                raise KeyError("no such\nthing")
            case "exit":
                raise SystemExit(3)
            case "shape":
                return scores[:-1]
            case "type":
                return scores.astype(np.float64)
            case "list":
                return scores.tolist()
            case "none":
                return None
            case "nan":
                return scores * np.float32(np.nan)
            case "all":
                return np.full_like(scores, -np.inf)
            case "infinite":
                return np.full_like(scores, np.inf)
            case "back":
                return np.zeros_like(scores)
            case "write":
                scores[0] = 1.0
            case "slow":
                time.sleep(0.05)
        return scores
