"""From settings to the stages that they ask for."""

from collections.abc import Callable

from glasschat.errors import StageNotHere
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.params import SamplingParams
from glasschat.sampling.processors import (
    FrequencyPenalty,
    LogitBias,
    MinNewTokens,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from glasschat.sampling.stages import Stage
from glasschat.sampling.typical import TypicalP
from glasschat.sampling.warpers import MinP, Temperature, TopK, TopP


def _logit_bias(params: SamplingParams) -> Stage | None:
    return LogitBias(params.logit_bias) if params.logit_bias else None


def _repetition_penalty(params: SamplingParams) -> Stage | None:
    penalty = params.repetition_penalty
    return RepetitionPenalty(penalty) if penalty != 1.0 else None


def _presence_penalty(params: SamplingParams) -> Stage | None:
    return PresencePenalty(params.presence_penalty) if params.presence_penalty else None


def _frequency_penalty(params: SamplingParams) -> Stage | None:
    return FrequencyPenalty(params.frequency_penalty) if params.frequency_penalty else None


def _no_repeat_ngram_size(params: SamplingParams) -> Stage | None:
    return NoRepeatNGram(params.no_repeat_ngram_size) if params.no_repeat_ngram_size else None


def _min_new_tokens(params: SamplingParams) -> Stage | None:
    if not params.min_new_tokens and not params.ignore_eos:
        return None
    return MinNewTokens(params.min_new_tokens, params.ignore_eos, frozenset(params.stop_token_ids))


def _temperature(params: SamplingParams) -> Stage | None:
    return Temperature(params.temperature) if params.temperature != 1.0 else None


def _top_k(params: SamplingParams) -> Stage | None:
    return TopK(params.top_k) if params.top_k else None


def _top_p(params: SamplingParams) -> Stage | None:
    return TopP(params.top_p) if params.top_p < 1.0 else None


def _min_p(params: SamplingParams) -> Stage | None:
    return MinP(params.min_p) if params.min_p else None


def _typical_p(params: SamplingParams) -> Stage | None:
    return TypicalP(params.typical_p) if params.typical_p < 1.0 else None


_BUILDERS: dict[str, Callable[[SamplingParams], Stage | None]] = {
    "logit_bias": _logit_bias,
    "repetition_penalty": _repetition_penalty,
    "presence_penalty": _presence_penalty,
    "frequency_penalty": _frequency_penalty,
    "no_repeat_ngram_size": _no_repeat_ngram_size,
    "min_new_tokens": _min_new_tokens,
    "temperature": _temperature,
    "top_k": _top_k,
    "top_p": _top_p,
    "min_p": _min_p,
    "typical_p": _typical_p,
}


def build_stages(
    params: SamplingParams, make: Callable[[CustomStage], Stage] | None = None
) -> tuple[Stage, ...]:
    """The stages that `params` asks for, in the order of `params.stages`.

    A stage that does nothing at its setting is left out; so are all warpers when the reply is
    greedy (temperature 0 or sampling off), as transformers does. `make` makes a stage of one's own
    out of what is asked for; without it one is refused: StageNotHere.
    """
    own = {stage.name: stage for stage in params.own_stages}
    built = (
        (make or _refused)(own[name]) if name in own else _BUILDERS[name](params)
        for name in params.stages
    )
    return tuple(s for s in built if s and not (params.greedy and s.kind == "warper"))


def _refused(asked: CustomStage) -> Stage:
    raise StageNotHere(asked.name)
