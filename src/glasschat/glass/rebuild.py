"""The stages once more, over what was recorded of a whole reply, with these or other settings."""

from dataclasses import dataclass

import numpy as np

from glasschat.errors import GlasschatError
from glasschat.glass.candidates import CandidateSet
from glasschat.glass.custom_stage import rerun_custom_stage
from glasschat.glass.cuts import RecordedStage, cut, propagate_constraints
from glasschat.glass.history import BatchedHistory
from glasschat.glass.processors import changed
from glasschat.glass.tail_bounds import TailBounds
from glasschat.glass.trace import Trace
from glasschat.sampling import (
    CustomStage,
    Grammar,
    MinP,
    SamplingParams,
    Stage,
    StageContext,
    StageKind,
    Temperature,
    TopK,
    TopP,
    TypicalP,
    build_stages,
)
from glasschat.sampling.custom.guard import GuardedStage
from glasschat.sampling.workspace import Row


@dataclass(frozen=True, slots=True)
class Unseen:
    """A stage that ran, and whose work cannot be done over: it, or what it knew, is not here.

    A grammar is known to remove tokens and to leave the others as they are: it `masks`.
    """

    name: str
    kind: StageKind
    masks: bool = False
    asked: CustomStage | None = None

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
    def make(asked: CustomStage) -> Stage:
        try:
            return trace.stage_classes.build(asked)
        except GlasschatError:
            return Unseen(asked.name, asked.kind, asked=asked)

    return build_stages(params, make)


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """The raw candidates, and the candidates behind each stage.

    `known` is behind how many of the stages the sampler itself was with the same settings, so
    that what it wrote down holds here too.
    """

    stages: tuple[Stage, ...]
    layers: tuple[CandidateSet, ...]
    known: int

    @property
    def last(self) -> CandidateSet:
        """What is drawn from."""
        return self.layers[-1]


def rebuild(trace: Trace, params: SamplingParams | None = None) -> Rebuilt:
    """All tokens of `trace` through the stages that `params` ask for; its own for None.

    A token's history is what was recorded: with other settings this is what each choice would be
    if the text before it were the same. A stage that the reply alone had, such as a grammar, comes
    before all others with any settings. One's own run again where their classes are at hand.
    """
    plan = steps(trace, params)
    columns, past = trace.columns, BatchedHistory(trace)
    layer = CandidateSet(
        ids=columns.ids,
        scores=columns.logits,
        others=TailBounds.of(columns, trace.vocab_size),
        told=columns.logsumexp,
        maybe=np.full(columns.ids.shape, not plan.on_record) & (columns.ids >= 0),
        guessed=np.full(len(columns), not plan.on_record),
    )
    layers = [layer]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for place, stage in enumerate(plan.stages):
            told = _told(trace, place) if place < plan.known else None
            after = _after(layer, stage, past, trace, told)
            if told is not None:
                cuts = isinstance(stage, TopK | TopP | MinP)
                after = propagate_constraints(
                    _confirmed(after, told), told, layer if cuts else None
                )
            layer = after
            layers.append(layer)
    return Rebuilt(plan.stages, tuple(layers), plan.known)


def _told(trace: Trace, place: int) -> RecordedStage:
    columns = trace.columns
    # Whoever was drawn, and whoever was the best behind a later stage, was left behind this one.
    chosen = np.where(columns.forced, -1, columns.token_id)[:, None]
    return RecordedStage(
        kept=columns.kept[:, place],
        after=columns.after[:, place],
        best=columns.best[:, place],
        left=np.concatenate([columns.best[:, place:], chosen], axis=1),
    )


def _confirmed(layer: CandidateSet, told: RecordedStage) -> CandidateSet:
    """The layer with what the sampler wrote down behind it."""
    certain = np.where(layer.guessed, 0, layer.alive - np.count_nonzero(layer.maybe, axis=1))
    left = np.maximum(told.kept - certain, 0).astype(np.float64)
    return layer.confirmed(layer.others.refined(left), told.after)


def _after(
    layer: CandidateSet,
    stage: Stage,
    past: BatchedHistory,
    trace: Trace,
    told: RecordedStage | None,
) -> CandidateSet:
    match stage:
        case Temperature():
            return layer.tempered(stage.temperature)
        case TopK() | TopP() | MinP() | TypicalP():
            return cut(layer, stage, trace.vocab_size, told)
        case GuardedStage():
            return rerun_custom_stage(layer, stage, trace, told)
        case Unseen():
            return layer.doubted(masked=stage.masks)
        case _:
            return changed(layer, stage, past, trace)
