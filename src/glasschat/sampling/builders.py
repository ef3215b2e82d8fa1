"""How the rows of the table of settings make their stages."""

from typing import Any

from glasschat.sampling.dry import Dry
from glasschat.sampling.dynamic_temperature import DynamicTemperature
from glasschat.sampling.processors import MinNewTokens
from glasschat.sampling.settings import StageSlot
from glasschat.sampling.stages import Stage
from glasschat.sampling.warpers import Temperature
from glasschat.sampling.xtc import HIGHEST_THRESHOLD, XTC


def slot(maker: Any, place: int, *, off: Any = 0, optional: bool = False) -> StageSlot:
    """Return the slot of a stage that is made with the one setting that has its name."""

    def build(params: Any) -> Stage | None:
        value = getattr(params, maker.name)
        stage: Stage | None = maker(value) if value != off else None
        return stage

    return StageSlot(maker.name, maker.kind, place, build, optional)


def build_min_new_tokens(params: Any) -> Stage | None:
    """Build the stage that SamplingParams ask for, None where it would do nothing."""
    if not params.min_new_tokens and not params.ignore_eos:
        return None
    return MinNewTokens(params.min_new_tokens, params.ignore_eos, frozenset(params.stop_token_ids))


def build_temperature(params: Any) -> Stage | None:
    """Build the stage that SamplingParams ask for, None where it would do nothing."""
    if params.dynatemp_range:
        return DynamicTemperature(
            params.temperature, params.dynatemp_range, params.dynatemp_exponent
        )
    return Temperature(params.temperature) if params.temperature != 1.0 else None


def build_dry(params: Any) -> Stage | None:
    """Build the stage that SamplingParams ask for, None where it would do nothing."""
    if not params.dry_multiplier:
        return None
    return Dry(
        params.dry_multiplier,
        params.dry_base,
        params.dry_allowed_length,
        params.dry_penalty_last_n,
        params.dry_sequence_breakers,
    )


def build_xtc(params: Any) -> Stage | None:
    """Build the stage that SamplingParams ask for, None where it would do nothing."""
    if not params.xtc_probability or params.xtc_threshold > HIGHEST_THRESHOLD:
        return None
    return XTC(params.xtc_probability, params.xtc_threshold)
