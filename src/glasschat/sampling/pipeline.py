"""Build the stages that the settings of a reply ask for."""

from collections.abc import Callable

from glasschat.errors import StageNotHere
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.params import STAGES, SamplingParams
from glasschat.sampling.stages import Stage


def build_stages(
    params: SamplingParams, make: Callable[[CustomStage], Stage] | None = None
) -> tuple[Stage, ...]:
    """Return the stages that `params` asks for, in the order of `params.stages`.

    A stage that does nothing at its setting is left out; so are all warpers when the reply is
    greedy (temperature 0 or sampling off), as transformers does. `make` makes the stage for a
    custom one; without it a custom stage raises StageNotHere.
    """
    custom = {stage.name: stage for stage in params.own_stages}
    built = (
        (make or _refuse)(custom[name]) if name in custom else STAGES[name].build(params)
        for name in params.stages
    )
    return tuple(s for s in built if s and not (params.greedy and s.kind == "warper"))


def _refuse(custom: CustomStage) -> Stage:
    raise StageNotHere(custom.name)
