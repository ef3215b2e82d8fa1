"""Presets: sampling settings under a name, built in or saved by a user; independent of pages."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.sampling import SETTINGS, Group, SamplingParams

MAX_NAME_CHARS = 60

SAMPLING_FIELDS = tuple(row.name for row in SETTINGS.values() if row.group is Group.SAMPLING)
"""Settings of how tokens are chosen: every preset decides all of these."""

LIMIT_FIELDS = tuple(row.name for row in SETTINGS.values() if row.group is Group.LIMIT)
"""Settings of the task of a reply: a preset decides those that it names, and no others."""

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
        if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
            allowed = Message("1 to {most} printable characters", most=MAX_NAME_CHARS)
            raise ParameterError(Message("the preset's name"), allowed, name[: MAX_NAME_CHARS + 20])
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
        """Return the names of the settings that the preset decides."""
        return (*SAMPLING_FIELDS, *(name for name in LIMIT_FIELDS if name in self.params))

    def value(self, setting: str) -> Any:
        """Return the preset's value of a setting, or the default of one that it does not name."""
        return self.params.get(setting, getattr(DEFAULTS, setting))

    def list_changes(self, now: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the settings whose values in `now` differ from the preset's.

        `now` has a value for every setting that the preset decides.
        """
        return tuple(name for name in self.decides if self.differs(name, now[name]))

    def differs(self, setting: str, value: Any) -> bool:
        """Return whether the preset decides that setting and has another value for it."""
        return setting in self.decides and not _same(value, self.value(setting))

    def values_to_apply(
        self, now: Mapping[str, Any], *, replacing: "Preset | None" = None
    ) -> dict[str, Any]:
        """Return the values to set, by setting, to apply the preset.

        Settings that the preset `replacing` had set go back to their defaults, unless they were
        changed since. What was set beside that preset, such as a seed, stays.
        """
        values = {name: self.value(name) for name in self.decides}
        if replacing is not None:
            leftover = set(replacing.decides) - set(replacing.list_changes(now)) - set(values)
            values |= {name: self.value(name) for name in leftover}
        return values

    def limit_to_context(self, context: int) -> "Preset":
        """Return the preset with its lengths reduced to a context of `context` tokens."""
        lengths = {name: self.params.get(name) for name in LENGTHS}
        shorter = {name: min(value, context) for name, value in lengths.items() if value}
        return Preset(self.name, {**self.params, **shorter})


def _same(one: Any, other: Any) -> bool:
    # Sliders count in steps, and ten times 0.1 is not 1.
    both = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other, abs_tol=1e-9) if both else bool(one == other)


def make_preset(name: str, params: SamplingParams) -> Preset:
    """Return a preset with all of SAMPLING_FIELDS, and those limits that are not the defaults.

    Raises ParameterError.
    """
    chosen = {setting: getattr(params, setting) for setting in SAMPLING_FIELDS}
    for setting in LIMIT_FIELDS:
        if (value := getattr(params, setting)) != getattr(DEFAULTS, setting):
            chosen[setting] = value
    return Preset(name, chosen)


ORIGINAL = Preset(
    "Original",
    {name: getattr(DEFAULTS, name) for name in (*SAMPLING_FIELDS, "max_length")},
)
"""The settings of the demo that glasschat started from; what the demo does not set is off."""

PRECISE = Preset("Precise", {"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.0})
"""For facts, code and extraction: nearly the likeliest token throughout. No penalty, because names
and brackets of a program have to be repeated."""

CREATIVE = Preset(
    "Creative", {"temperature": 1.0, "top_p": 1.0, "min_p": 0.05, "repetition_penalty": 1.0}
)
"""For stories and ideas: the model's own probabilities, cut by min-p, which keeps many tokens where
the model hesitates and few where it is sure (Nguyen et al. 2024, "Turning Up the Heat")."""

MODEL_DEFAULTS = "Model's own"
# Settings that a model's makers leave out are off, as in transformers.
_OFF_VALUES = {
    name: SETTINGS[name].off
    for name in SAMPLING_FIELDS
    if SETTINGS[name].off != SETTINGS[name].default
}


def built_in_presets(recommended: Mapping[str, float]) -> tuple[Preset, ...]:
    """Return the built-in presets, with that of the model if its makers `recommended` settings."""
    named = {name: value for name, value in recommended.items() if name in SAMPLING_FIELDS}
    model = (Preset(MODEL_DEFAULTS, {**_OFF_VALUES, **named}),) if named else ()
    return (ORIGINAL, *model, PRECISE, CREATIVE)


RESERVED = frozenset(preset.name.casefold() for preset in built_in_presets({"temperature": 1.0}))
"""Names in lower case that presets of users cannot have."""
