"""What each setting is called, what it does in a sentence, and how its value is written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from glasschat.chat.presets import DEFAULTS, LIMIT_FIELDS, SAMPLING_FIELDS, Preset
from glasschat.sampling import CustomStage, SamplingParams
from glasschat.web.language import N_, _

_RANGES = {item.name: item.metadata for item in fields(SamplingParams)}


@dataclass(frozen=True, slots=True)
class Number:
    """A setting that is a number. `step` is how far a click goes; `label`, `help` are messages."""

    name: str
    label: str
    help: str
    step: float

    @property
    def low(self) -> float:
        """The least value that a widget takes; where the range is open, a step above its end."""
        metadata = _RANGES[self.name]
        return self.typed(metadata["low"] + (self.step if metadata["open_low"] else 0))

    @property
    def high(self) -> float:
        """The greatest value."""
        return self.typed(_RANGES[self.name]["high"])

    @property
    def format(self) -> str | None:
        """With the digits of a step, and two at least: 1.005 is not to be read as 1."""
        digits = max(2, len(str(self.step).partition(".")[2]))
        return f"%.{digits}f" if isinstance(getattr(DEFAULTS, self.name), float) else None

    def typed(self, value: float) -> float:
        """The value in the setting's own type: widgets take no other, and hand back no other."""
        kind = float if isinstance(getattr(DEFAULTS, self.name), float) else int
        return kind(value)


SLIDERS = (
    Number("top_p", N_("Top P"), N_("Keeps the fewest tokens whose probabilities reach p."), 0.01),
    Number(
        "temperature",
        N_("Temperature"),
        N_("Lower is surer; 0 always takes the likeliest token."),
        0.01,
    ),
)
NUMBERS = (
    Number("top_k", N_("Top K"), N_("Keeps the k likeliest tokens; 0 is off."), 1),
    Number("min_p", N_("Min P"), N_("Drops tokens far below the likeliest; 0 is off."), 0.01),
    Number("typical_p", N_("Typical P"), N_("Keeps typical surprise; 1 is off."), 0.01),
    Number(
        "repetition_penalty",
        N_("Repetition penalty"),
        N_("Weakens tokens already seen in prompt or reply; 1 is off."),
        0.005,
    ),
    Number(
        "presence_penalty",
        N_("Presence penalty"),
        N_("Subtracted once from tokens already in the reply."),
        0.1,
    ),
    Number(
        "frequency_penalty",
        N_("Frequency penalty"),
        N_("Subtracted for every time a token is already in the reply."),
        0.1,
    ),
    Number(
        "no_repeat_ngram_size",
        N_("No repeated runs of"),
        N_("Tokens; no run of this length appears twice. 0 is off."),
        1,
    ),
)
LEAST_REPLY = Number("min_new_tokens", N_("Least reply"), N_("Tokens before the reply may end."), 1)
LONGEST_REPLY = Number("max_new_tokens", N_("Longest reply"), N_("In tokens."), 1)

_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "max_length": N_("Max Length"),
        **{field.name: field.label for field in (*SLIDERS, *NUMBERS, LEAST_REPLY, LONGEST_REPLY)},
        "do_sample": N_("Sample"),
        "stop": N_("Stop at"),
        "seed": N_("Seed"),
        "own_stages": N_("Stages of your own"),
    }
)
# What switches a setting off, where that is not its default.
_OFF: Mapping[str, Any] = MappingProxyType({"repetition_penalty": 1.0, "top_p": 1.0})


def label(name: str) -> str:
    """What the setting is called."""
    return _(_LABELS[name])


def is_off(name: str, value: Any) -> bool:
    """Whether a setting of that value does nothing."""
    return bool(value == _OFF.get(name, getattr(DEFAULTS, name)))


def written(name: str, value: Any) -> str:
    """The value as people write it."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if value is None or value in ((), ""):
        return _("none")
    if isinstance(value, float):
        # As many digits as it has, two where they tell nothing more.
        return f"{value:.2f}" if math.isclose(value, round(value, 2)) else f"{value:.6g}"
    if isinstance(value, tuple):
        return ", ".join(str(x) if isinstance(x, CustomStage) else repr(x) for x in value)
    return str(value) if name == "seed" or isinstance(value, str) else f"{value:,}"


def summary(preset: Preset) -> str:
    """The preset's settings in a line, less those that are off."""
    parts = []
    for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS):
        value = preset.value(name)
        if name in preset.decides and not (is_off(name, value) and name != "temperature"):
            parts.append(f"{label(name)} {written(name, value)}")
    return " · ".join(parts)
