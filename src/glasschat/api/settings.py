"""From the wire's settings to SamplingParams. What is left out is what OpenAI says it is."""

from typing import Any

from glasschat.api.fields import ReplySettings
from glasschat.errors import ParameterError
from glasschat.sampling import OwnStage, SamplingParams, StageClasses

# OpenAI's defaults, not those of the page: a program gets what the same request gets elsewhere.
_DEFAULTS = {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0}
_SAME_NAME = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "ignore_eos",
)
_SEEDS = 2**64


def params_of(
    request: ReplySettings, limit: int | None, context: int, classes: StageClasses
) -> SamplingParams:
    """The settings of the first choice. Raises ParameterError, StageNotHere."""
    given: dict[str, Any] = dict(_DEFAULTS)
    for name in _SAME_NAME:
        if (value := getattr(request, name)) is not None:
            given[name] = value
    if request.logit_bias is not None:
        given["logit_bias"] = {int(name): bias for name, bias in request.logit_bias.items()}
    if request.stop is not None:
        given["stop"] = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop)
    if request.stop_token_ids is not None:
        given["stop_token_ids"] = tuple(request.stop_token_ids)
    if request.stages is not None:
        given["stages"] = tuple(request.stages)
    if request.own_stages is not None:
        given["own_stages"] = _own_stages(request, classes)
    if request.seed is not None:
        given["seed"] = request.seed % _SEEDS
    return SamplingParams(
        max_length=context,
        max_new_tokens=limit,
        min_new_tokens=request.min_tokens or 0,
        **given,
    )


def _own_stages(request: ReplySettings, classes: StageClasses) -> tuple[OwnStage, ...]:
    try:
        return classes.asked(request.own_stages or {})
    except ParameterError as error:
        raise ParameterError(f"own_stages.{error.name}", error.allowed, error.value) from None


def seed_of(params: SamplingParams, choice: int) -> int | None:
    """The seed of choice number `choice`: the next one for each, or a new one if none is given."""
    return None if params.seed is None else (params.seed + choice) % _SEEDS
