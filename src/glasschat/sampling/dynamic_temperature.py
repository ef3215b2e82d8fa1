"""Dynamic temperature: hotter where the model hesitates, cooler where it is sure."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glasschat.sampling.distribution import keep_only
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row

COLDEST = 1e-20
"""Below it finite scores would become infinite ones, and the likeliest token alone is kept."""


@dataclass(frozen=True, slots=True)
class DynamicTemperature:
    """Divides the scores by a temperature that follows their entropy.

    It lies `spread` around `temperature`, never below 0: at the lower end where one token is
    certain, at the upper end where all are alike, and between the two as the entropy, divided by
    the greatest there could be, to the power `exponent`. As llama.cpp's temp-ext; there tokens
    that an earlier sampler set to -inf count for the greatest entropy, here they do not.
    """

    name: ClassVar[str] = "dynamic_temperature"
    kind: ClassVar[StageKind] = "warper"
    temperature: float
    spread: float
    exponent: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the divided scores, float32 [vocab]."""
        temperature = self.temperature_at(self.measure(scores, context))
        if temperature < COLDEST:
            return keep_only(scores, np.array([scores.argmax()]))
        return scores / np.float32(temperature)

    def measure(self, scores: Row, context: StageContext) -> float:
        """Return the entropy of the scores as a share of the greatest there could be, in [0, 1].

        0 where one token is left: its scores are divided by the lowest temperature then, which
        changes nothing.
        """
        count = int(np.count_nonzero(scores > -np.inf))
        if count < 2:
            return 0.0
        return min(1.0, context.distribution(scores).entropy / math.log(count))

    def temperature_at(self, entropy: float) -> float:
        """Return the temperature for an entropy, a share of the greatest there could be."""
        low, high = max(0.0, self.temperature - self.spread), self.temperature + self.spread
        return low + (high - low) * float(entropy**self.exponent)
