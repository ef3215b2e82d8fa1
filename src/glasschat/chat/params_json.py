"""Settings and origin of a reply as plain JSON values, and settings read from them."""

import math
from collections.abc import Mapping
from typing import Any

from glasschat.chat.node import Origin
from glasschat.errors import ParameterError
from glasschat.sampling import SETTINGS, CustomStage, SamplingParams


def params_as_json(params: SamplingParams) -> dict[str, Any]:
    """Return all settings as JSON values by name.

    Defaults are written too, because another version may have other defaults.
    """
    return some_params_as_json({name: getattr(params, name) for name in SETTINGS})


def some_params_as_json(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given settings as JSON values by name."""
    plain = dict(params)
    if "logit_bias" in plain:
        # JSON has no infinity: the value that forbids a token is written as a word.
        plain["logit_bias"] = {
            str(token_id): "-inf" if value == -math.inf else value
            for token_id, value in plain["logit_bias"].items()
        }
    if "own_stages" in plain:
        plain["own_stages"] = [
            {"name": stage.name, "kind": stage.kind, "settings": stage.values}
            for stage in plain["own_stages"]
        ]
    return {name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()}


def params_from_json(plain: Mapping[str, Any]) -> SamplingParams:
    """Return the settings from JSON values; a name that this version does not know is left out.

    Raises ParameterError for a value out of its range.
    """
    known = {name: value for name, value in plain.items() if name in SETTINGS}
    bias = known.get("logit_bias")
    if isinstance(bias, Mapping):
        known["logit_bias"] = {
            _token_id(token_id): -math.inf if value == "-inf" else value
            for token_id, value in bias.items()
        }
    if "own_stages" in known:
        known["own_stages"] = _custom_stages(known["own_stages"])
    return SamplingParams(**known)


def origin_as_json(origin: Origin) -> dict[str, Any]:
    """Return the origin of a reply as JSON: model, fingerprints and versions."""
    return {
        "model": origin.model,
        "model_fingerprint": origin.model_fingerprint,
        "template_fingerprint": origin.template_fingerprint,
        "versions": dict(origin.versions),
    }


def _token_id(name: Any) -> Any:
    """Return a name of a JSON object as a token id; SamplingParams refuses any other text."""
    return int(name) if str(name).isdecimal() and len(str(name)) < 20 else name


def _custom_stages(listed: Any) -> Any:
    """Return custom stages from JSON; SamplingParams refuses what is no list.

    Raises ParameterError for a stage that is malformed.
    """
    if not isinstance(listed, list):
        return listed
    return tuple(map(_custom_stage, listed))


def _custom_stage(plain: Any) -> CustomStage:
    settings = plain.get("settings") if isinstance(plain, Mapping) else None
    if not isinstance(plain, Mapping) or not isinstance(settings, Mapping):
        raise ParameterError("own_stages", "a name, a kind and settings each", str(plain)[:80])
    return CustomStage.of(plain.get("name"), plain.get("kind"), settings)  # type: ignore[arg-type]
