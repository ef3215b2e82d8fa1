"""Patches of settings: some values changed, for what-if and for continuing a reply."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from glasschat.chat.params_json import params_as_json, params_from_json
from glasschat.chat.presets import DEFAULTS
from glasschat.errors import InvalidMessage
from glasschat.sampling import SamplingParams
from glasschat.web.language import _
from glasschat.web.settings.fields import LEAST_REPLY, NUMBERS, SLIDERS, Number

CONTROLS = (*SLIDERS, *NUMBERS, LEAST_REPLY)
ALLOWED = {number.name for number in CONTROLS} | {"do_sample", "ignore_eos", "seed", "stages"}
_PATCH = TypeAdapter(dict[str, Any])


def control_json(number: Number) -> dict[str, Any]:
    """Return a setting as the page makes a control from it, with its default as value."""
    return {
        "name": number.name,
        "label": _(number.label),
        "help": _(number.help),
        "value": getattr(DEFAULTS, number.name),
        "low": number.low,
        "high": number.high,
        "step": number.step,
    }


def apply_patch(params: SamplingParams, patch: Mapping[str, Any]) -> SamplingParams:
    """Return the settings with the values of `patch`. Raises InvalidMessage, ParameterError."""
    unknown = patch.keys() - ALLOWED
    if unknown:
        raise InvalidMessage(
            "there is no setting {unknown} to ask about", unknown=repr(min(unknown)[:40])
        )
    return params_from_json({**params_as_json(params), **patch})


def parse_patch(text: str | None) -> dict[str, Any]:
    """Return a patch from the JSON text in an address, {} for None. Raises InvalidMessage."""
    try:
        return _PATCH.validate_json(text or "{}")
    except ValidationError:
        raise InvalidMessage("the settings to ask about are no JSON object") from None
