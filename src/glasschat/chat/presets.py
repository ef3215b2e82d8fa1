"""Presets: sampling settings under a name, built in or one's own, apart from any page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.sampling import SETTINGS, Group, SamplingParams

LONGEST_NAME = 60

SAMPLING_FIELDS = tuple(row.name for row in SETTINGS.values() if row.group is Group.SAMPLING)
"""How tokens are chosen: every preset decides all of these."""

LIMIT_FIELDS = tuple(row.name for row in SETTINGS.values() if row.group is Group.LIMIT)
"""What a reply is for: a preset decides those that it names, and leaves the others alone."""

LENGTHS = ("max_length", "max_new_tokens", "min_new_tokens")

DEFAULTS = SamplingParams()


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings under a name. `params` are those that it names, by the names of SamplingParams.

    A setting of SAMPLING_FIELDS that it does not name has its default. Raises ParameterError for a
    name that is empty or too long, a setting that no preset has, or a value out of its range.
    """

    name: str
    params: Mapping[str, Any]

    def __post_init__(self) -> None:
        name = " ".join(self.name.split())
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            allowed = Message("1 to {most} printable characters", most=LONGEST_NAME)
            raise ParameterError(Message("the preset's name"), allowed, name[: LONGEST_NAME + 20])
        for unknown in self.params.keys() - {*SAMPLING_FIELDS, *LIMIT_FIELDS}:
            known = ", ".join((*SAMPLING_FIELDS, *LIMIT_FIELDS))
            allowed = Message("settings among {settings}", settings=known)
            raise ParameterError(Message("a preset"), allowed, str(unknown)[:80])
        checked = SamplingParams(**self.params)
        object.__setattr__(self, "name", name)
        # In one order, and in the types that SamplingParams gives them.
        object.__setattr__(
            self,
            "params",
            MappingProxyType(
                {
                    n: getattr(checked, n)
                    for n in (*SAMPLING_FIELDS, *LIMIT_FIELDS)
                    if n in self.params
                }
            ),
        )

    @property
    def decides(self) -> tuple[str, ...]:
        """The settings that it has a say in."""
        return (*SAMPLING_FIELDS, *(name for name in LIMIT_FIELDS if name in self.params))

    def value(self, setting: str) -> Any:
        """What it sets, or the default of what it does not."""
        return self.params.get(setting, getattr(DEFAULTS, setting))

    def changed(self, now: Mapping[str, Any]) -> tuple[str, ...]:
        """The settings that are otherwise `now` than it decides. `now` has all that it decides."""
        return tuple(name for name in self.decides if self.differs(name, now[name]))

    def differs(self, setting: str, value: Any) -> bool:
        """Whether it decides that setting, and otherwise."""
        return setting in self.decides and not _same(value, self.value(setting))

    def brings(
        self, now: Mapping[str, Any], *, instead_of: "Preset | None" = None
    ) -> dict[str, Any]:
        """What has to be set for it. What the one before brought along goes with that one.

        What somebody has set beside the one before, such as a seed, stays.
        """
        values = {name: self.value(name) for name in self.decides}
        if instead_of is not None:
            brought = set(instead_of.decides) - set(instead_of.changed(now)) - set(values)
            values |= {name: self.value(name) for name in brought}
        return values

    def within(self, context: int) -> "Preset":
        """The same where prompt and reply have at most `context` tokens."""
        lengths = {name: self.params.get(name) for name in LENGTHS}
        shorter = {name: min(value, context) for name, value in lengths.items() if value}
        return Preset(self.name, {**self.params, **shorter})


def _same(one: Any, other: Any) -> bool:
    # Sliders count in steps, and ten times 0.1 is not 1.
    both = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other, abs_tol=1e-9) if both else bool(one == other)


def preset_of(name: str, params: SamplingParams) -> Preset:
    """Return a preset with all of SAMPLING_FIELDS, and those limits that are not the defaults.

    Raises ParameterError.
    """
    kept = {setting: getattr(params, setting) for setting in SAMPLING_FIELDS}
    for setting in LIMIT_FIELDS:
        if (value := getattr(params, setting)) != getattr(DEFAULTS, setting):
            kept[setting] = value
    return Preset(name, kept)


ORIGINAL = Preset(
    "Original",
    {name: getattr(DEFAULTS, name) for name in (*SAMPLING_FIELDS, "max_length")},
)
"""What the demo sets that glasschat starts from; what it does not set is off."""

PRECISE = Preset("Precise", {"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.0})
"""For facts, code and extraction: nearly the likeliest token throughout. No penalty, because names
and brackets of a program have to be repeated."""

CREATIVE = Preset(
    "Creative", {"temperature": 1.0, "top_p": 1.0, "min_p": 0.05, "repetition_penalty": 1.0}
)
"""For stories and ideas: the model's own probabilities, cut by min-p, which keeps many tokens where
the model hesitates and few where it is sure (Nguyen et al. 2024, "Turning Up the Heat")."""

MODELS_OWN = "Model's own"
# What a model's makers leave out is off, as transformers has it.
_UNNAMED = {
    name: SETTINGS[name].off
    for name in SAMPLING_FIELDS
    if SETTINGS[name].off != SETTINGS[name].default
}


def built_in(recommended: Mapping[str, float]) -> tuple[Preset, ...]:
    """The presets that are always there; the model's own where its makers `recommended` any."""
    named = {name: value for name, value in recommended.items() if name in SAMPLING_FIELDS}
    own = (Preset(MODELS_OWN, {**_UNNAMED, **named}),) if named else ()
    return (ORIGINAL, *own, PRECISE, CREATIVE)


RESERVED = frozenset(preset.name.casefold() for preset in built_in({"temperature": 1.0}))
"""Names that one's own cannot have, in small letters."""
