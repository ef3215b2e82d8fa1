"""DRY, don't repeat yourself: the longer a repeat is, the more its next token is weakened."""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from glasschat.sampling.breakers import Breakers
from glasschat.sampling.history import Ids
from glasschat.sampling.processors import Processor
from glasschat.sampling.stages import StageContext
from glasschat.sampling.workspace import Row

# The logarithm of the greatest float32: no power of the base is taken beyond it.
_LARGEST_LOG = 88.7228391


def repeat_lengths(
    ids: Ids, allowed_length: int, penalty_last_n: int, breakers: Breakers
) -> dict[int, int]:
    """Return the tokens that would lengthen a repeat, and how long it is before each of them.

    `ids` (int64 [n]) are prompt and reply; the last `penalty_last_n` of them count, all for -1.
    """
    window = ids if penalty_last_n < 0 else ids[max(0, len(ids) - penalty_last_n) :]
    if not penalty_last_n or len(window) <= allowed_length:
        return {}
    limit = _length_since_breaker(window, breakers)
    if limit < allowed_length:
        return {}
    found: dict[int, int] = {}
    # Where the last `length` ids stand once more, by the place of the last of them.
    ends, length = np.arange(len(window) - 1), 0
    while len(ends):
        if length >= allowed_length:
            found.update(dict.fromkeys(window[ends + 1].tolist(), length))
        if length == limit:
            break
        length += 1
        ends = ends[ends >= length - 1]
        ends = ends[window[ends - length + 1] == window[-length]]
    return {token: n for token, n in found.items() if () not in breakers.get(token, ())}


def _length_since_breaker(window: Ids, breakers: Breakers) -> int:
    """Return how many ids stand behind the last breaker, all of them where there is none."""
    if not breakers:
        return len(window)
    ids = window.tolist()
    for back in range(len(ids)):
        place = len(ids) - 1 - back
        matches = [
            len(tail)
            for tail in breakers.get(ids[place], ())
            if len(tail) <= back and tuple(ids[place + 1 : place + 1 + len(tail)]) == tail
        ]
        if matches:
            return back - max(matches)
    return len(ids)


@dataclass(frozen=True, slots=True)
class Dry(Processor):
    """Subtracts `multiplier * base ** (length - allowed_length)` from what lengthens a repeat.

    `length` is how many ids before the token stood before it once already, in prompt or reply, and
    no repeat reaches over one of `breaker_texts`; a token that is a breaker is not weakened. A
    request turns the texts into `breakers`; None before that. P. E. Weidmann 2024,
    text-generation-webui, pull request 5677; as llama.cpp's DRY.
    """

    name: ClassVar[str] = "dry"
    multiplier: float
    base: float
    allowed_length: int
    penalty_last_n: int
    breaker_texts: tuple[str, ...] = ()
    breakers: Breakers | None = field(default=None, repr=False, compare=False)

    def with_breakers(self, breakers: Breakers) -> "Dry":
        """Return the stage with its texts resolved."""
        return replace(self, breakers=breakers)

    def penalties(self, ids: Ids) -> dict[int, float]:
        """Return what is subtracted from each token behind `ids`."""
        lengths = repeat_lengths(ids, self.allowed_length, self.penalty_last_n, self.breakers or {})
        most = int(_LARGEST_LOG / math.log(self.base)) if self.base > 1.000001 else 0
        found = {}
        for token_id, length in lengths.items():
            power = length - self.allowed_length
            power = min(power, most) if most else power
            found[token_id] = self.multiplier * self.base**power
        return found

    def touched(self, context: StageContext) -> Ids:
        """Return the tokens that would lengthen a repeat, int64 [n]."""
        return np.array(list(self.penalties(context.history.ids)), np.int64)

    def _change(self, values: Row, context: StageContext) -> Row:
        amounts = list(self.penalties(context.history.ids).values())
        return values - np.array(amounts, np.float64).astype(np.float32)
