"""Some settings changed: what is asked about a reply, and what it is gone on with."""

import json
from collections.abc import Mapping
from typing import Any

from glasschat.chat.params_json import params_as_json, params_from_json
from glasschat.chat.presets import DEFAULTS
from glasschat.errors import InvalidMessage
from glasschat.sampling import SamplingParams
from glasschat.web.language import _
from glasschat.web.settings.fields import LEAST_REPLY, NUMBERS, SLIDERS, Number

KNOBS = (*SLIDERS, *NUMBERS, LEAST_REPLY)
ALLOWED = {knob.name for knob in KNOBS} | {"do_sample", "ignore_eos", "seed", "stages"}


def described_knob(knob: Number) -> dict[str, Any]:
    """A setting as a control is made from it, with its default."""
    return {
        "name": knob.name,
        "label": _(knob.label),
        "help": _(knob.help),
        "value": getattr(DEFAULTS, knob.name),
        "low": knob.low,
        "high": knob.high,
        "step": knob.step,
    }


def changed(params: SamplingParams, changes: Mapping[str, Any]) -> SamplingParams:
    """The settings with `changes`. Raises InvalidMessage, ParameterError."""
    unknown = changes.keys() - ALLOWED
    if unknown:
        raise InvalidMessage(f"there is no setting {min(unknown)[:40]!r} to ask about")
    return params_from_json({**params_as_json(params), **changes})


def read_changes(text: str | None) -> dict[str, Any]:
    """Changes as they stand in an address. Raises InvalidMessage."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidMessage("the settings to ask about are no JSON object")
    return found
