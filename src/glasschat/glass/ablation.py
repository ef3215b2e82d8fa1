"""What each setting did in a reply: asked by leaving it out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glasschat.glass.rebuild import Rebuilt, rebuild
from glasschat.glass.trace import Trace
from glasschat.glass.values import distance, parted
from glasschat.glass.what_if import compare
from glasschat.glass.words import N_, Sentence
from glasschat.sampling import DEFAULT_ORDER, CustomStage, SamplingParams

# What each setting is when it does nothing.
NEUTRAL: dict[str, Any] = {
    "logit_bias": {},
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "no_repeat_ngram_size": 0,
    "min_new_tokens": 0,
    "ignore_eos": False,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "do_sample": True,
    "stages": DEFAULT_ORDER,
}
_WARPERS = frozenset({"temperature", "top_k", "top_p", "min_p", "typical_p"})

# Below this two distributions are one: sums of float32 differ by more.
_SAME = 1e-5
# Where less than this is known of two distributions, nobody can say that they are one.
_CLEAR = 0.005

_NOTHING = N_("{setting} {value} changed nothing in these {tokens} tokens")
_ODDS = N_(
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
    """What a setting did at `tokens` tokens, with all others as they were.

    A stage of one's own is a setting by its name, and its value is what it was set to, in words.

    At how many it changed which candidates were left (`sets`), how likely they were
    (`distributions`), and for certain which was chosen (`choices`, at `places`). `open` is at how
    many the recorded candidates do not suffice to say.
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
        """Whether it might as well have been off."""
        return not (self.sets or self.distributions or self.choices or self.open)

    @property
    def sentence(self) -> Sentence:
        """The same in words; tokens are counted from 1 there."""
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
        return Sentence(_NOTHING if self.idle else _ODDS, values)


def in_use(params: SamplingParams) -> tuple[str, ...]:
    """The settings that do anything to a choice, in the order of the stages."""
    order = [*params.stages]
    order.insert(order.index("min_new_tokens") + 1, "ignore_eos")
    named = [*order, "do_sample", "stages"]
    found = [name for name in named if _without(params, name) != params]
    if not params.greedy:
        return tuple(found)
    # A greedy reply runs no warpers; what made it greedy is the setting.
    greedy = "do_sample" if not params.do_sample else "temperature"
    warpers = {*_WARPERS, *(s.name for s in params.own_stages if s.kind == "warper")} - {greedy}
    return tuple(name for name in found if name not in warpers)


def _own(params: SamplingParams, name: str) -> CustomStage | None:
    return next((stage for stage in params.own_stages if stage.name == name), None)


def _without(params: SamplingParams, name: str) -> SamplingParams:
    """The same with that setting doing nothing."""
    if _own(params, name) is not None:
        return params.without(name)
    return replace(params, **{name: NEUTRAL[name]})


def _value(params: SamplingParams, name: str) -> Any:
    own = _own(params, name)
    if own is None:
        return getattr(params, name)
    return ", ".join(f"{field} {value}" for field, value in own.settings) or "on"


def ablate(trace: Trace) -> tuple[SettingEffect, ...]:
    """What every setting in use did in this reply."""
    own = rebuild(trace)
    return tuple(_knob(trace, own, name) for name in in_use(trace.params))


def _knob(trace: Trace, own: Rebuilt, name: str) -> SettingEffect:
    params = trace.params
    without = _without(params, name)
    found = compare(trace, without)
    ours, theirs = own.last, found.rebuilt.last
    sure = ours.sure & theirs.sure
    sets = parted(ours, theirs)
    sets |= sure & ((ours.others.count > 0) != (theirs.others.count > 0))
    least, _ = distance(ours, theirs)
    doubt = sum(
        (most - some) / np.maximum(most, 1e-300) for some, most in (ours.total, theirs.total)
    )
    odds = sets | (sure & (least > _SAME + doubt))
    unclear = found.open | (~odds & (~sure | (doubt > _CLEAR)))
    if params.greedy != without.greedy:
        # Without a draw all the others have no chance at all.
        sets = odds = np.ones(len(trace), np.bool_)
    return SettingEffect(
        setting=name,
        value=_value(params, name),
        tokens=len(trace),
        sets=int(np.count_nonzero(sets)),
        distributions=int(np.count_nonzero(odds)),
        choices=int(np.count_nonzero(found.other & ~found.open)),
        open=int(np.count_nonzero(unclear)),
        places=tuple(np.flatnonzero(found.other & ~found.open).tolist()),
    )
