"""What each setting is called, what it does in a sentence, and how its value is written."""

import math
from dataclasses import dataclass
from typing import Any

from glasschat.chat.presets import LIMIT_FIELDS, SAMPLING_FIELDS, Preset
from glasschat.sampling import SETTINGS, CustomStage, Group
from glasschat.web.language import _


@dataclass(frozen=True, slots=True)
class Number:
    """The widget of a setting that is a number. `label` and `help` are messages."""

    name: str

    @property
    def label(self) -> str:
        """What the setting is called."""
        return SETTINGS[self.name].label

    @property
    def help(self) -> str:
        """What the setting does, in a sentence."""
        return SETTINGS[self.name].help

    @property
    def step(self) -> float:
        """How far one click goes."""
        return SETTINGS[self.name].step

    @property
    def low(self) -> float:
        """The least value that a widget takes; where the range is open, a step above its end."""
        row = SETTINGS[self.name]
        return self.typed(row.low + (row.step if row.open_low else 0))

    @property
    def high(self) -> float:
        """The greatest value that a widget takes."""
        return self.typed(SETTINGS[self.name].high)

    @property
    def format(self) -> str | None:
        """With the digits of a step, and two at least: 1.005 is not to be read as 1."""
        digits = max(2, len(str(self.step).partition(".")[2]))
        return f"%.{digits}f" if SETTINGS[self.name].kind == "float" else None

    def typed(self, value: float) -> float:
        """The value in the setting's own type: widgets take no other, and hand back no other."""
        return float(value) if SETTINGS[self.name].kind == "float" else int(value)


# The first two of the original's own panel, in its order.
SLIDERS = (Number("top_p"), Number("temperature"))
NUMBERS = tuple(
    Number(row.name)
    for row in SETTINGS.values()
    if row.group is Group.SAMPLING and row.is_number and Number(row.name) not in SLIDERS
)
LEAST_REPLY = Number("min_new_tokens")
LONGEST_REPLY = Number("max_new_tokens")


def label(name: str) -> str:
    """What the setting is called."""
    return _(SETTINGS[name].label)


def is_off(name: str, value: Any) -> bool:
    """Whether a setting of that value does nothing."""
    return bool(value == SETTINGS[name].off)


def format_value(name: str, value: Any) -> str:
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
            parts.append(f"{label(name)} {format_value(name, value)}")
    return " · ".join(parts)
