"""Settings and origin of a reply as plain JSON, and back."""

import math
from collections.abc import Mapping
from typing import Any

from glasschat.chat.node import Origin
from glasschat.errors import ParameterError
from glasschat.sampling import SETTINGS, CustomStage, SamplingParams


def params_as_json(params: SamplingParams) -> dict[str, Any]:
    """Every setting by its name; the defaults too, which another version may have otherwise."""
    return some_params_as_json({name: getattr(params, name) for name in SETTINGS})


def some_params_as_json(params: Mapping[str, Any]) -> dict[str, Any]:
    """Some settings by their names."""
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
    """The settings; a name that this version does not know is left out.

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
        known["own_stages"] = _own_stages(known["own_stages"])
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


def _own_stages(listed: Any) -> Any:
    """What is no list of stages is left for SamplingParams to refuse. Raises ParameterError."""
    if not isinstance(listed, list):
        return listed
    return tuple(map(_own_stage, listed))


def _own_stage(plain: Any) -> CustomStage:
    settings = plain.get("settings") if isinstance(plain, Mapping) else None
    if not isinstance(plain, Mapping) or not isinstance(settings, Mapping):
        raise ParameterError("own_stages", "a name, a kind and settings each", str(plain)[:80])
    return CustomStage.of(plain.get("name"), plain.get("kind"), settings)  # type: ignore[arg-type]
