"""Setting effects by ablation: what each setting did in a reply, found by leaving it out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glasschat.glass.rebuild import RebuiltStages, rebuild
from glasschat.glass.trace import Trace
from glasschat.glass.values import certainly_differ, total_variation_bounds
from glasschat.glass.what_if import compare_choices
from glasschat.glass.words import N_, Sentence
from glasschat.sampling import SETTINGS, CustomStage, SamplingParams

# What is left out one at a time: the settings that turn something on, with their neutral values.
NEUTRAL: dict[str, Any] = {
    row.name: row.off for row in SETTINGS.values() if row.shapes_choice and not row.part_of
}
_BY_STAGE = {row.stage.name: row.name for row in SETTINGS.values() if row.stage}
_BESIDE = {row.beside: row.name for row in SETTINGS.values() if row.beside}
_WARPERS = frozenset(
    row.name
    for row in SETTINGS.values()
    for slot in [SETTINGS[row.beside or row.name].stage]
    if slot and slot.kind == "warper"
)

# Two distributions that differ by less are equal: sums of float32 differ by more.
_SAME = 1e-5
# Where the bounds of two distributions are wider than this, it cannot be said that they are equal.
_WIDE = 0.005

_NOTHING = N_("{setting} {value} changed nothing in these {tokens} tokens")
_DISTRIBUTIONS = N_(
    "{setting} {value} changed the odds at {distributions} of {tokens} tokens, and no choice"
)
_CHOICES = N_(
    "{setting} {value} changed {choices} of {tokens} choices, first that of token {first}"
)
_OPEN = N_(
    "{setting} {value} changed no choice for certain; at {open} of {tokens} tokens the recorded "
    "candidates do not suffice to say"
)


@dataclass(frozen=True, slots=True)
class SettingEffect:
    """What a setting did at `tokens` tokens, all other settings being as they were.

    A custom stage is a setting by its name, and its value is its own settings in words.

    Counts of tokens: where it certainly changed which candidates remained (`sets`), how likely they
    were (`distributions`), and which one was chosen (`choices`, at `places`). `open` counts those
    where the recorded candidates do not suffice to say.
    """

    setting: str
    value: Any
    tokens: int
    sets: int
    distributions: int
    choices: int
    open: int
    places: tuple[int, ...]

    @property
    def idle(self) -> bool:
        """Whether the reply would certainly be the same with the setting off."""
        return not (self.sets or self.distributions or self.choices or self.open)

    @property
    def sentence(self) -> Sentence:
        """The effect as a sentence; tokens are counted from 1 in it."""
        values: dict[str, Any] = {
            "setting": self.setting,
            "value": self.value,
            "tokens": self.tokens,
            "distributions": self.distributions,
            "choices": self.choices,
            "open": self.open,
            "first": self.places[0] + 1 if self.places else 0,
        }
        if self.choices:
            return Sentence(_CHOICES, values)
        if self.open:
            return Sentence(_OPEN, values)
        return Sentence(_NOTHING if self.idle else _DISTRIBUTIONS, values)


def active_settings(params: SamplingParams) -> tuple[str, ...]:
    """Return the settings that can change a choice, in the order of the stages."""
    order = [_BY_STAGE.get(name, name) for name in params.stages]
    with_beside = [one for name in order for one in (name, _BESIDE.get(name)) if one]
    named = [*with_beside, "do_sample", "stages"]
    found = [name for name in named if _neutralize(params, name) != params]
    if not params.greedy:
        return tuple(found)
    # A greedy reply runs no warpers; what made it greedy is the setting.
    greedy = "do_sample" if not params.do_sample else "temperature"
    warpers = {*_WARPERS, *(s.name for s in params.own_stages if s.kind == "warper")} - {greedy}
    return tuple(name for name in found if name not in warpers)


def _custom_stage(params: SamplingParams, name: str) -> CustomStage | None:
    return next((stage for stage in params.own_stages if stage.name == name), None)


def _neutralize(params: SamplingParams, name: str) -> SamplingParams:
    """Return the settings with the one called `name` doing nothing."""
    if _custom_stage(params, name) is not None:
        return params.without(name)
    return replace(params, **{name: NEUTRAL[name]})


def _value(params: SamplingParams, name: str) -> Any:
    custom = _custom_stage(params, name)
    if custom is None:
        return getattr(params, name)
    return ", ".join(f"{field} {value}" for field, value in custom.settings) or "on"


def setting_effects(trace: Trace) -> tuple[SettingEffect, ...]:
    """Return what every active setting did in this reply."""
    rebuilt = rebuild(trace)
    return tuple(_setting_effect(trace, rebuilt, name) for name in active_settings(trace.params))


def _setting_effect(trace: Trace, rebuilt: RebuiltStages, name: str) -> SettingEffect:
    params = trace.params
    without = _neutralize(params, name)
    found = compare_choices(trace, without)
    recorded, neutral = rebuilt.final, found.rebuilt.final
    certain = recorded.certain & neutral.certain
    sets = certainly_differ(recorded, neutral)
    sets |= certain & ((recorded.tail.count > 0) != (neutral.tail.count > 0))
    least, _ = total_variation_bounds(recorded, neutral)
    width = sum(
        (high - low) / np.maximum(high, 1e-300)
        for low, high in (recorded.total_bounds, neutral.total_bounds)
    )
    distributions = sets | (certain & (least > _SAME + width))
    undecided = found.open | (~distributions & (~certain | (width > _WIDE)))
    if params.greedy != without.greedy:
        # Without a draw all tokens but the best have no chance at all.
        sets = distributions = np.ones(len(trace), np.bool_)
    choices = found.differs & ~found.open
    return SettingEffect(
        setting=name,
        value=_value(params, name),
        tokens=len(trace),
        sets=int(np.count_nonzero(sets)),
        distributions=int(np.count_nonzero(distributions)),
        choices=int(np.count_nonzero(choices)),
        open=int(np.count_nonzero(undecided)),
        places=tuple(np.flatnonzero(choices).tolist()),
    )
