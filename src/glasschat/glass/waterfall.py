"""One token: its candidates down, the stages across, and the draw that fell on one of them."""

from dataclasses import dataclass

import numpy as np

from glasschat.glass.candidates import CandidateSet
from glasschat.glass.choosing import UNLISTED
from glasschat.glass.rebuild import Rebuilt, Unseen, rebuild
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

_TOP_K = N_("rank {rank}, and top-k keeps the best {k}")
_TOP_P = N_("the {better} better ones hold {share:.1%}, and top-p stops at {p:.1%}")
_MIN_P = N_("{share:.2%} of the best one's probability, and min-p asks for {p:.2%}")
_TYPICAL_P = N_("its surprise is too far from the usual one, which typical-p wants")
_N_GRAM = N_("it would repeat a run of {size} tokens")
_TOO_EARLY = N_("the reply may not end before {length} tokens")
_NEVER_ENDS = N_("end tokens are suppressed")
_BIAS = N_("its bias forbids it")
_GRAMMAR = N_("the grammar does not allow it here")
_OWN = N_("the stage {stage} removed it")


def rule(stage: Stage, before: CandidateSet, at: int, *, output_length: int) -> Sentence:
    """Why `stage` removed the candidate that stood at place `at` of the layer of one token.

    `output_length` is how many tokens the reply had by then.
    """
    weights, total = before.weights[0], float(before.middle[0])
    match stage:
        case TopK():
            return Sentence(_TOP_K, {"rank": at + 1, "k": stage.top_k})
        case TopP():
            share = float(np.sum(weights[:at])) / total
            return Sentence(_TOP_P, {"better": at, "share": share, "p": stage.top_p})
        case MinP():
            return Sentence(_MIN_P, {"share": float(weights[at]), "p": stage.min_p})
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
        case _:
            return Sentence(_OWN, {"stage": stage.name})


@dataclass(frozen=True, slots=True)
class Column:
    """A stage, or `raw` before all of them.

    `kept` is how many candidates are left behind it, those not recorded one by one included, and
    `mass` the share of its input that they had; `rest` is the probability of all that are not
    listed. With the reply's own settings the numbers are the sampler's; with others they may be
    bounds, and where `sure` is false it is not even certain who is left. `unseen` is a stage whose
    work cannot be done over, a grammar or one whose class is not here: of what it did there is the
    record alone.
    """

    name: str
    kind: StageKind | None
    kept: int
    mass: float
    rest: float
    sure: bool
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A candidate behind a stage: its score, its place among all (0 the best), its share.

    `cumulative` is the probability of all that come before it and its own. Where it is not `sure`,
    a token that is not listed may come before it, and its place and draw are guesses.
    """

    score: float
    rank: int
    probability: float
    cumulative: float
    sure: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row: one cell for each column, None from the stage on that removed it.

    `interval` is where the draw has to fall for it, both in [0, 1]; None for a removed one.
    """

    token_id: int
    cells: tuple[Cell | None, ...]
    removed_by: str | None
    rule: Sentence | None
    interval: tuple[float, float] | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Waterfall:
    """How one token was chosen.

    `candidates` are in the order of the model, likeliest first. `u` is the draw, None where the
    likeliest was taken or the token chosen by hand (`forced`). A chosen token that is not among
    the candidates has its raw `rank` and `logit`. `output_length` is how many tokens the reply had
    before.
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
        """Whether it is certain at every stage who was left, and where the chosen one stood."""
        cells = [cell for c in self.candidates if c.chosen for cell in c.cells]
        return all(item.sure for item in (*self.columns, *cells) if item is not None)


def waterfall(trace: Trace, place: int, params: SamplingParams | None = None) -> Waterfall:
    """That of the token at `place`; with other settings what they would have made of it.

    Raises IndexError for a place that the reply has not.
    """
    alone = trace.at(place)
    rebuilt = rebuild(alone, params)
    record = alone.record(0)
    return Waterfall(
        place=place,
        token_id=record.token_id,
        logit=record.logit,
        rank=record.rank,
        probability=record.probability,
        u=record.u,
        forced=record.forced,
        output_length=alone.earlier,
        columns=_columns(rebuilt, record),
        candidates=_candidates(rebuilt, record.token_id, alone.earlier),
    )


def _columns(rebuilt: Rebuilt, record: StepRecord) -> tuple[Column, ...]:
    found = []
    for number, layer in enumerate(rebuilt.layers):
        stage, mass = rebuilt.stages[number - 1] if number else None, 1.0
        kept = int(layer.alive[0] + layer.others.count[0])
        if 0 < number <= rebuilt.known:
            told = record.stages[number - 1]
            kept, mass = told.kept, told.mass
        elif number:
            mass = _mass(rebuilt.layers[number - 1], layer)
        total = float(layer.middle[0])
        listed = float(layer.weights[0].sum())
        found.append(
            Column(
                name=stage.name if stage else "raw",
                kind=stage.kind if stage else None,
                kept=kept,
                mass=mass,
                rest=min(1.0, max(0.0, 1.0 - listed / total)) if layer.others.count[0] else 0.0,
                sure=bool(layer.sure[0]),
                unseen=isinstance(stage, Unseen),
            )
        )
    return tuple(found)


def _mass(before: CandidateSet, after: CandidateSet) -> float:
    """The share of `before` that is left in `after`."""
    gone = before.others.count[0] > 0 and after.others.count[0] == 0
    stayed = set(after.ids[0, : after.alive[0]].tolist())
    kept = np.array([i in stayed for i in before.ids[0].tolist()])
    total = float(before.middle[0])
    listed = float(before.weights[0].sum())
    rest = 0.0 if gone else max(0.0, total - listed)
    return min(1.0, (float(before.weights[0][kept].sum()) + rest) / total)


def _candidates(rebuilt: Rebuilt, chosen: int, output_length: int) -> tuple[Candidate, ...]:
    rows: dict[int, list[Cell | None]] = {}
    for layer in rebuilt.layers:
        cells = _cells(layer)
        for token_id in rebuilt.layers[0].ids[0].tolist():
            if token_id != UNLISTED:
                rows.setdefault(token_id, []).append(cells.get(token_id))
    found = []
    for token_id, row in rows.items():
        gone = row.index(None) if None in row else None
        last = row[-1]
        stage = None if gone is None else rebuilt.stages[gone - 1]
        reason = None
        if stage is not None and gone is not None:
            before = rebuilt.layers[gone - 1]
            at = before.ids[0].tolist().index(token_id)
            reason = rule(stage, before, at, output_length=output_length)
        found.append(
            Candidate(
                token_id=token_id,
                cells=tuple(row),
                removed_by=None if stage is None else stage.name,
                rule=reason,
                interval=None if last is None else _interval(last),
                chosen=token_id == chosen,
            )
        )
    return tuple(found)


def _interval(cell: Cell) -> tuple[float, float]:
    return max(0.0, cell.cumulative - cell.probability), cell.cumulative


def _cells(layer: CandidateSet) -> dict[int, Cell]:
    """The candidates that are left, by their ids."""
    share = layer.weights[0] / layer.middle[0]
    sums = np.cumsum(share)
    return {
        int(layer.ids[0, rank]): Cell(
            score=float(layer.scores[0, rank]),
            rank=rank,
            probability=float(share[rank]),
            cumulative=min(1.0, float(sums[rank])),
            sure=bool(layer.above[0, rank] and not layer.maybe[0, rank]),
        )
        for rank in range(int(layer.alive[0]))
    }
