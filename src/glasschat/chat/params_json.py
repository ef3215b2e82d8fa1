"""Settings and origin of a reply as plain JSON, and back."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from glasschat.chat.node import Origin
from glasschat.sampling import SamplingParams

NAMES = frozenset(item.name for item in fields(SamplingParams))


def params_as_json(params: SamplingParams) -> dict[str, Any]:
    """Every setting by its name; the defaults too, which another version may have otherwise."""
    return some_params_as_json(
        {item.name: getattr(params, item.name) for item in fields(SamplingParams)}
    )


def some_params_as_json(params: Mapping[str, Any]) -> dict[str, Any]:
    """Some settings by their names."""
    plain = dict(params)
    if "logit_bias" in plain:
        # JSON has no infinity: the value that forbids a token is written as a word.
        plain["logit_bias"] = {
            str(token_id): "-inf" if value == -math.inf else value
            for token_id, value in plain["logit_bias"].items()
        }
    return {name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()}


def params_from_json(plain: Mapping[str, Any]) -> SamplingParams:
    """The settings; a name that this version does not know is left out.

    Raises ParameterError for a value out of its range.
    """
    known = {name: value for name, value in plain.items() if name in NAMES}
    bias = known.get("logit_bias")
    if isinstance(bias, Mapping):
        known["logit_bias"] = {
            _token_id(token_id): -math.inf if value == "-inf" else value
            for token_id, value in bias.items()
        }
    return SamplingParams(**known)


def origin_as_json(origin: Origin) -> dict[str, Any]:
    """Where a reply comes from."""
    return {
        "model": origin.model,
        "model_fingerprint": origin.model_fingerprint,
        "template_fingerprint": origin.template_fingerprint,
        "versions": dict(origin.versions),
    }


def _token_id(name: Any) -> Any:
    """JSON's names are texts; what is no id is left for SamplingParams to refuse."""
    return int(name) if str(name).isdecimal() and len(str(name)) < 20 else name
