"""The waterfall of one token: its candidates as rows, the stages as columns, and the draw."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from glasschat.glass.candidates import CandidateSet
from glasschat.glass.choosing import UNLISTED
from glasschat.glass.rebuild import RebuiltStages, UnavailableStage, rebuild
from glasschat.glass.trace import Trace
from glasschat.glass.words import N_, Sentence
from glasschat.sampling import (
    Grammar,
    LogitBias,
    MinNewTokens,
    MinP,
    NoRepeatNGram,
    SamplingParams,
    Stage,
    StageKind,
    StepRecord,
    TopK,
    TopP,
    TypicalP,
)
from glasschat.sampling.stages import ExplainedStage

_TOP_K = N_("rank {rank}, and top-k keeps the best {k}")
_TOP_P = N_("the {better} better ones hold {share:.1%}, and top-p stops at {p:.1%}")
_MIN_P = N_("{share:.2%} of the best one's probability, and min-p asks for {p:.2%}")
_TYPICAL_P = N_("its surprise is too far from the usual one, which typical-p wants")
_N_GRAM = N_("it would repeat a run of {size} tokens")
_TOO_EARLY = N_("the reply may not end before {length} tokens")
_NEVER_ENDS = N_("end tokens are suppressed")
_BIAS = N_("its bias forbids it")
_GRAMMAR = N_("the grammar does not allow it here")
_CUSTOM = N_("the stage {stage} removed it")


def removal_reason(stage: Stage, before: CandidateSet, at: int, *, output_length: int) -> Sentence:
    """Return why `stage` removed a candidate: the one at place `at` of `before`, of one token.

    `output_length` is how many tokens the reply had before.
    """
    weights, total = before.weights[0], float(before.total[0])
    match stage:
        case TopK():
            return Sentence(_TOP_K, {"rank": at + 1, "k": stage.top_k})
        case TopP():
            share = float(np.sum(weights[:at])) / total
            return Sentence(_TOP_P, {"better": at, "share": share, "p": stage.top_p})
        case MinP():
            return Sentence(_MIN_P, {"share": float(weights[at]), "p": stage.ratio})
        case NoRepeatNGram():
            return Sentence(_N_GRAM, {"size": stage.size})
        case MinNewTokens():
            if output_length < stage.length:
                return Sentence(_TOO_EARLY, {"length": stage.length})
            return Sentence(_NEVER_ENDS)
        case TypicalP():
            return Sentence(_TYPICAL_P)
        case LogitBias():
            return Sentence(_BIAS)
        case _ if stage.name == Grammar.name:
            return Sentence(_GRAMMAR)
        case _ if isinstance(stage, ExplainedStage):
            values = {field.name: getattr(stage, field.name) for field in fields(stage)}
            share = float(weights[at]) / total
            return Sentence(stage.removal, values | {"rank": at + 1, "share": share})
        case _:
            return Sentence(_CUSTOM, {"stage": stage.name})


Unknown = Literal["unknown"]
"""Stands for a cell of which nothing is known behind a custom stage."""


@dataclass(frozen=True, slots=True)
class Column:
    """A stage, or `raw` before all of them.

    `kept` is how many candidates remain behind it, unlisted ones included; `mass` the share of its
    input that these had; `best` the id of the likeliest one behind it. Where the sampler ran the
    stages up to here with the same settings (`recorded`), all three are its own numbers, exact.
    With other settings they are computed: `kept` is an upper bound, and where it is not `certain`
    which candidates remain, `mass` and `best` are the most likely values. `rest` is the probability
    of all unlisted candidates together.

    A column is `unknown` behind a custom stage whose effect on the candidates cannot be stated:
    `kept`, `mass` and `best` are None there unless they were recorded, and `rest` is None.
    `unavailable` is a stage that cannot run again, a grammar or one whose class is not here.
    """

    name: str
    kind: StageKind | None
    kept: int | None
    mass: float | None
    best: int | None
    rest: float | None
    certain: bool
    recorded: bool
    unknown: bool = False
    unavailable: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A candidate behind a stage: its score, its place among all (0 the best), its probability.

    `cumulative` is the probability of all that come before it and its own. Where it is not
    `certain`, an unlisted token may come before it, or it may be removed: then `rank`,
    `probability` and `cumulative` are the most likely values.
    """

    score: float
    rank: int
    probability: float
    cumulative: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row: one cell for each column, None from the stage on that removed it.

    A cell is "unknown" in an unknown column. `interval` is where the draw has to fall for it, both
    ends in [0, 1]; None for one that was removed or is unknown in the last column.
    """

    token_id: int
    cells: tuple[Cell | Unknown | None, ...]
    removed_by: str | None
    reason: Sentence | None
    interval: tuple[float, float] | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Waterfall:
    """How one token was chosen.

    `candidates` are in the order of the model, likeliest first. `u` is the draw in [0, 1), None
    where the likeliest was taken or the token chosen by hand (`forced`). `probability` is the
    recorded one in the distribution that was drawn from. `rank` and `logit` are those of the chosen
    token in the raw row, also where it is not among the candidates. `output_length` is how many
    tokens the reply had before.
    """

    place: int
    token_id: int
    logit: float
    rank: int
    probability: float
    u: float | None
    forced: bool
    output_length: int
    columns: tuple[Column, ...]
    candidates: tuple[Candidate, ...]

    @property
    def exact(self) -> bool:
        """Whether it is certain at every stage which remain, and where the chosen one stood."""
        chosen = [cell for c in self.candidates if c.chosen for cell in c.cells]
        cells = [cell for cell in chosen if isinstance(cell, Cell)]
        return all(column.certain for column in self.columns) and all(c.certain for c in cells)


def waterfall(trace: Trace, place: int, params: SamplingParams | None = None) -> Waterfall:
    """Return the waterfall of the token at `place`, with other settings if `params` are given.

    Raises IndexError for a place that the reply has not.
    """
    one = trace.at(place)
    rebuilt = rebuild(one, params)
    record = one.record(0)
    return Waterfall(
        place=place,
        token_id=record.token_id,
        logit=record.logit,
        rank=record.rank,
        probability=record.probability,
        u=record.u,
        forced=record.forced,
        output_length=one.earlier,
        columns=tuple(_column(rebuilt, record, at) for at in range(len(rebuilt.candidate_sets))),
        candidates=_rows(rebuilt, record.token_id, one.earlier),
    )


def _column(rebuilt: RebuiltStages, record: StepRecord, at: int) -> Column:
    """Return the column at place `at`: 0 for the raw candidates, then one for each stage."""
    candidates = rebuilt.candidate_sets[at]
    stage = rebuilt.stages[at - 1] if at else None
    unknown = bool(candidates.unknown[0])
    recorded = at <= rebuilt.recorded_count
    kept: int | None = int(candidates.possible_count[0] + candidates.tail.count[0])
    mass: float | None = 1.0
    best = _best(candidates)
    if recorded and at:
        stage_record = record.stages[at - 1]
        kept, mass, best = stage_record.kept, stage_record.mass, stage_record.best
    elif unknown:
        kept = mass = best = None
    elif at:
        before = rebuilt.candidate_sets[at - 1]
        mass = None if before.unknown[0] else _mass(before, candidates)
    return Column(
        name=stage.name if stage else "raw",
        kind=stage.kind if stage else None,
        kept=kept,
        mass=mass,
        best=best,
        rest=None if unknown else _rest(candidates),
        certain=bool(candidates.certain[0]),
        recorded=recorded,
        unknown=unknown,
        unavailable=isinstance(stage, UnavailableStage),
    )


def _best(candidates: CandidateSet) -> int | None:
    """Return the id of the best listed candidate of the one token, None where none remains."""
    return int(candidates.ids[0, 0]) if candidates.possible_count[0] else None


def _rest(candidates: CandidateSet) -> float:
    """Return the probability of all unlisted tokens together."""
    if not candidates.tail.count[0]:
        return 0.0
    listed = float(candidates.weights[0].sum())
    return min(1.0, max(0.0, 1.0 - listed / float(candidates.total[0])))


def _mass(before: CandidateSet, after: CandidateSet) -> float:
    """Return the share of `before` that remains in `after`."""
    tail_removed = before.tail.count[0] > 0 and after.tail.count[0] == 0
    remaining = set(after.ids[0, : after.possible_count[0]].tolist())
    kept = np.array([i in remaining for i in before.ids[0].tolist()])
    total = float(before.total[0])
    listed = float(before.weights[0].sum())
    rest = 0.0 if tail_removed else max(0.0, total - listed)
    return min(1.0, (float(before.weights[0][kept].sum()) + rest) / total)


def _rows(rebuilt: RebuiltStages, chosen: int, output_length: int) -> tuple[Candidate, ...]:
    cells: dict[int, list[Cell | Unknown | None]] = {}
    token_ids = [i for i in rebuilt.candidate_sets[0].ids[0].tolist() if i != UNLISTED]
    for candidates in rebuilt.candidate_sets:
        column = _cells(candidates)
        for token_id in token_ids:
            row = cells.setdefault(token_id, [])
            row.append("unknown" if candidates.unknown[0] else column.get(token_id))
    return tuple(
        _row(rebuilt, token_id, row, output_length=output_length, chosen=token_id == chosen)
        for token_id, row in cells.items()
    )


def _row(
    rebuilt: RebuiltStages,
    token_id: int,
    cells: list[Cell | Unknown | None],
    *,
    output_length: int,
    chosen: bool,
) -> Candidate:
    removed = cells.index(None) if None in cells else None
    removed_by = reason = None
    # Behind an unknown column it cannot be said which of the stages removed it.
    if removed is not None and cells[removed - 1] != "unknown":
        stage, before = rebuilt.stages[removed - 1], rebuilt.candidate_sets[removed - 1]
        at = before.ids[0].tolist().index(token_id)
        removed_by = stage.name
        reason = removal_reason(stage, before, at, output_length=output_length)
    last = cells[-1]
    interval = None
    if isinstance(last, Cell):
        interval = max(0.0, last.cumulative - last.probability), last.cumulative
    return Candidate(token_id, tuple(cells), removed_by, reason, interval, chosen)


def _cells(candidates: CandidateSet) -> dict[int, Cell]:
    """Return the cells of the candidates that may remain, by their ids."""
    share = candidates.weights[0] / candidates.total[0]
    sums = np.cumsum(share)
    certain = candidates.above_tail[0] & ~candidates.uncertain[0]
    return {
        int(candidates.ids[0, rank]): Cell(
            score=float(candidates.scores[0, rank]),
            rank=rank,
            probability=float(share[rank]),
            cumulative=min(1.0, float(sums[rank])),
            certain=bool(certain[rank]),
        )
        for rank in range(int(candidates.possible_count[0]))
    }
