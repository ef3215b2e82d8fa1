"""The stages once more, over what was recorded of a whole reply, with its or other settings."""

from dataclasses import dataclass

import numpy as np

from glasschat.errors import GlasschatError
from glasschat.glass.candidates import CandidateSet
from glasschat.glass.constraints import RecordedStage, propagate_constraints
from glasschat.glass.custom_stage import rerun_custom_stage
from glasschat.glass.cuts import Cut, WorstFirstCut, apply_cut
from glasschat.glass.history import BatchedHistory
from glasschat.glass.processors import apply_processor
from glasschat.glass.tail_bounds import TailBounds, Wide
from glasschat.glass.trace import Trace
from glasschat.sampling import (
    CustomStage,
    Grammar,
    SamplingParams,
    Stage,
    StageContext,
    StageKind,
    Temperature,
    build_stages,
    seeded_draws,
)
from glasschat.sampling.custom.guard import GuardedStage
from glasschat.sampling.dynamic_temperature import COLDEST, DynamicTemperature
from glasschat.sampling.stages import RandomStage
from glasschat.sampling.workspace import Row


@dataclass(frozen=True, slots=True)
class UnavailableStage:
    """A stage that ran and cannot run again: its code, or what it knew, is not available here.

    A grammar is known to remove tokens and to leave the scores of all others: it `only_masks`.
    """

    name: str
    kind: StageKind
    only_masks: bool = False
    custom: CustomStage | None = None

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores unchanged; `rebuild` never calls it."""
        return scores


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The `stages` to rebuild; the first `recorded_count` were recorded with equal settings.

    Where the record is of other stages than its settings ask for, it is not `consistent`, and
    nothing behind the raw candidates is known.
    """

    stages: tuple[Stage, ...]
    recorded_count: int
    consistent: bool


def plan_stages(trace: Trace, params: SamplingParams | None) -> StagePlan:
    """Return the plan for `params`; for None that of the reply's own settings."""
    recorded_stages = _build_stages(trace, trace.params)
    names, recorded_names = tuple(stage.name for stage in recorded_stages), trace.columns.stages
    if not len(trace):
        stages = recorded_stages if params is None else _build_stages(trace, params)
        return StagePlan(stages, 0, True)
    constraint: tuple[Stage, ...] = ()
    if recorded_names[1:] == names and recorded_names != names:
        # A stage of this reply alone runs before all others, with any settings.
        name = recorded_names[0]
        constraint = (UnavailableStage(name, "processor", only_masks=name == Grammar.name),)
    elif recorded_names != names:
        stages = recorded_stages if params is None else _build_stages(trace, params)
        return StagePlan(stages, 0, False)
    recorded_stages = (*constraint, *recorded_stages)
    stages = recorded_stages
    if params is not None:
        stages = (*constraint, *_build_stages(trace, params))
    other_seed = _seed(trace, params) != trace.seed
    same = [
        one == other and not (other_seed and isinstance(one, RandomStage))
        for one, other in zip(recorded_stages, stages, strict=False)
    ]
    return StagePlan(stages, same.index(False) if False in same else len(same), True)


def _seed(trace: Trace, params: SamplingParams | None) -> int:
    """Return the seed of the draws: that of `params` where they name one, or the reply's own."""
    return trace.seed if params is None or params.seed is None else params.seed


def _build_stages(trace: Trace, params: SamplingParams) -> tuple[Stage, ...]:
    """Build the stages, with an UnavailableStage for each custom one whose class is not here."""

    def build_custom(stage: CustomStage) -> Stage:
        try:
            return trace.stage_classes.build(stage)
        except GlasschatError:
            return UnavailableStage(stage.name, stage.kind, custom=stage)

    return build_stages(params, build_custom)


@dataclass(frozen=True, eq=False)
class RebuiltStages:
    """The candidates before all stages and behind each of them.

    `candidate_sets[0]` are the raw candidates, `candidate_sets[i]` those behind `stages[i - 1]`.
    The sampler itself ran the first `recorded_count` stages with the same settings, so what it
    recorded behind them holds here.
    """

    stages: tuple[Stage, ...]
    candidate_sets: tuple[CandidateSet, ...]
    recorded_count: int

    @property
    def final(self) -> CandidateSet:
        """The candidates behind the last stage, from which the token is drawn."""
        return self.candidate_sets[-1]


def rebuild(trace: Trace, params: SamplingParams | None = None) -> RebuiltStages:
    """Run the recorded candidates of all tokens through the stages of `params`; None: its own.

    A token's history is what was recorded: with other settings this is what each choice would be
    if the text before it were the same. A stage that the reply alone had, such as a grammar, comes
    before all others with any settings. Custom stages run again where their classes are available.
    """
    plan = plan_stages(trace, params)
    columns, history = trace.columns, BatchedHistory(trace)
    candidates = CandidateSet(
        ids=columns.ids,
        scores=columns.logits,
        uncertain=np.zeros(columns.ids.shape, np.bool_),
        tail=TailBounds.from_columns(columns, trace.vocab_size),
        recorded_logsumexp=columns.logsumexp,
        unknown=np.zeros(len(columns), np.bool_),
    )
    if not plan.consistent and not plan.stages:
        candidates = candidates.with_unknown_effect()
    second_draws = seeded_draws(_seed(trace, params), trace.earlier, len(trace), stream=1)
    candidate_sets = [candidates]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for place, stage in enumerate(plan.stages):
            recorded = _recorded_stage(trace, place) if place < plan.recorded_count else None
            measured = _measured(trace, place, stage, plan)
            after = _apply(candidates, stage, history, trace, recorded, second_draws, measured)
            if not plan.consistent:
                after = after.with_unknown_effect()
            if recorded is not None:
                before = candidates if isinstance(stage, WorstFirstCut) else None
                after = propagate_constraints(_with_record(after, recorded), recorded, before)
            candidates = after
            candidate_sets.append(candidates)
    return RebuiltStages(plan.stages, tuple(candidate_sets), plan.recorded_count)


def _apply(
    candidates: CandidateSet,
    stage: Stage,
    history: BatchedHistory,
    trace: Trace,
    recorded: RecordedStage | None,
    second_draws: Wide,
    measured: Wide,
) -> CandidateSet:
    """Return the candidates behind `stage`: a new built-in stage needs a case here.

    One whose effect on the tail has no bounds can return `candidates.with_unknown_effect()`, or
    `candidates.after_unknown_mask()` if it removes tokens and leaves the scores of the others.
    """
    match stage:
        case Temperature():
            return candidates.divide_by_temperature(stage.temperature)
        case DynamicTemperature():
            return _apply_dynamic_temperature(candidates, stage, measured)
        case _ if isinstance(stage, Cut):
            return apply_cut(candidates, stage, trace.vocab_size, recorded, second_draws, measured)
        case GuardedStage():
            return rerun_custom_stage(candidates, stage, trace, recorded)
        case UnavailableStage():
            if stage.only_masks:
                return candidates.after_unknown_mask()
            return candidates.with_unknown_effect()
        case _:
            return apply_processor(candidates, stage, history, trace)


def _apply_dynamic_temperature(
    candidates: CandidateSet, stage: DynamicTemperature, measured: Wide
) -> CandidateSet:
    """Divide each row by its temperature, which is known where the entropy was recorded.

    So cold a row that one token alone was kept is left to the record.
    """
    known = ~np.isnan(measured)
    temperatures = np.array(
        [stage.temperature_at(share) for share in np.where(known, measured, 1.0).tolist()]
    )
    known &= temperatures >= COLDEST
    after = candidates.divide_by_temperature(np.where(known, temperatures, 1.0))
    return after.with_unknown_effect(~known)


def _recorded_stage(trace: Trace, place: int) -> RecordedStage:
    """Return the record of the stage at `place` in the order of the stages."""
    columns = trace.columns
    # The drawn token, and the best one behind each later stage, remained behind this one.
    chosen = np.where(columns.forced, -1, columns.token_id)[:, None]
    return RecordedStage(
        kept=columns.kept[:, place],
        logsumexp=columns.after[:, place],
        best=columns.best[:, place],
        certain_ids=np.concatenate([columns.best[:, place:], chosen], axis=1),
    )


def _measured(trace: Trace, place: int, stage: Stage, plan: StagePlan) -> Wide:
    """Return what the stage measures at each token, float64 [n]; NaN where it is not recorded.

    It is the same for other settings of the same stage, as long as all stages before it had the
    recorded ones.
    """
    columns = trace.columns
    same_input = plan.consistent and place <= plan.recorded_count
    if same_input and place < len(columns.stages) and columns.stages[place] == stage.name:
        return columns.measured[:, place]
    return np.full(len(trace), np.nan)


def _with_record(candidates: CandidateSet, recorded: RecordedStage) -> CandidateSet:
    """Return the candidates with the recorded log-sum-exp and number of tokens behind them."""
    certain = candidates.possible_count - np.count_nonzero(candidates.uncertain, axis=1)
    certain = np.where(candidates.unknown, 0, certain)
    left = np.maximum(recorded.kept - certain, 0).astype(np.float64)
    return candidates.with_record(candidates.tail.limit_count(left), recorded.logsumexp)
