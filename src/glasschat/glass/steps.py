"""Which stages a rebuilt reply goes through, and of which of them the sampler kept a record."""

from dataclasses import dataclass

from glasschat.errors import GlasschatError
from glasschat.glass.trace import Trace
from glasschat.sampling import (
    Grammar,
    OwnStage,
    SamplingParams,
    Stage,
    StageContext,
    StageKind,
    build_stages,
)
from glasschat.sampling.workspace import Row


@dataclass(frozen=True, slots=True)
class Unseen:
    """A stage that ran, and whose work cannot be done over: it, or what it knew, is not here.

    A grammar is known to remove tokens and to leave the others as they are: it `masks`.
    """

    name: str
    kind: StageKind
    masks: bool = False
    asked: OwnStage | None = None

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """The scores as they are, for want of anything better."""
        return scores


@dataclass(frozen=True, slots=True)
class Steps:
    """The `stages`; the first `known` of them are on record, run with the same settings.

    Where the record is of other stages than its settings ask for, it is not `on_record`, and all
    that is rebuilt is a guess.
    """

    stages: tuple[Stage, ...]
    known: int
    on_record: bool


def steps(trace: Trace, params: SamplingParams | None) -> Steps:
    """Those of `params`; for None those that the reply had."""
    theirs = _made(trace, trace.params)
    names, recorded = tuple(stage.name for stage in theirs), trace.columns.stages
    if not len(trace):
        return Steps(theirs if params is None else _made(trace, params), 0, True)
    constraint: tuple[Stage, ...] = ()
    if recorded[1:] == names and recorded != names:
        # A stage of this reply alone runs before all others, whatever they are.
        constraint = (Unseen(recorded[0], "processor", masks=recorded[0] == Grammar.name),)
    elif recorded != names:
        return Steps(theirs if params is None else _made(trace, params), 0, False)
    theirs = (*constraint, *theirs)
    ours = theirs if params is None else (*constraint, *_made(trace, params))
    same = [one == other for one, other in zip(theirs, ours, strict=False)]
    return Steps(ours, same.index(False) if False in same else len(same), True)


def _made(trace: Trace, params: SamplingParams) -> tuple[Stage, ...]:
    def make(asked: OwnStage) -> Stage:
        try:
            return trace.stage_classes.build(asked)
        except GlasschatError:
            return Unseen(asked.name, asked.kind, asked=asked)

    return build_stages(params, make)
