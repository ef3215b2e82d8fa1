"""Step records of a whole reply as columns: arrays that are computed with at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.distribution import TEMPERATURES
from glasschat.sampling.trace import TOP_CANDIDATES, StageRecord, StepRecord


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The `n` step records of one run as arrays, with the results of its `m` stages.

    Nothing is lost. `u` is NaN where nothing was drawn. `ids` (int32 [n, 64], -1 behind the last)
    and `logits` (float32 [n, 64], -inf behind the last) are the raw candidates. `tail` (float32
    [n, 5]) is the weight of the unlisted tokens, `seen` (float32 [n]) that of the unlisted tokens
    that were seen. `kept` (int32), `mass` (float64), `after` (float64: the log-sum-exp after the
    stage), `best` (int32) and `measured` (float64, NaN where the stage measured nothing) are
    [n, m]. All other arrays are [n].
    """

    token_id: NDArray[np.int32]
    rank: NDArray[np.int32]
    forced: NDArray[np.bool_]
    logit: NDArray[np.float32]
    logsumexp: NDArray[np.float64]
    entropy: NDArray[np.float64]
    probability: NDArray[np.float64]
    u: NDArray[np.float64]
    tail: NDArray[np.float32]
    seen: NDArray[np.float32]
    ids: NDArray[np.int32]
    logits: NDArray[np.float32]
    stages: tuple[str, ...]
    kept: NDArray[np.int32]
    mass: NDArray[np.float64]
    after: NDArray[np.float64]
    best: NDArray[np.int32]
    measured: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.token_id)

    @classmethod
    def of(cls, records: Sequence[StepRecord]) -> "Columns":
        """Return the columns of step records. Raises ValueError if their stages differ."""
        stages = tuple(s.name for s in records[0].stages) if records else ()
        if any(tuple(s.name for s in r.stages) != stages for r in records):
            raise ValueError("the records of one run have the same stages")
        ids = np.full((len(records), TOP_CANDIDATES), -1, np.int32)
        logits = np.full((len(records), TOP_CANDIDATES), -np.inf, np.float32)
        for row, record in enumerate(records):
            ids[row, : len(record.top_ids)] = record.top_ids
            logits[row, : len(record.top_ids)] = record.top_logits
        kept = [[s.kept for s in r.stages] for r in records]
        mass = [[s.mass for s in r.stages] for r in records]
        after = [[s.logsumexp for s in r.stages] for r in records]
        best = [[s.best for s in r.stages] for r in records]
        measured = [
            [np.nan if s.measured is None else s.measured for s in r.stages] for r in records
        ]
        shape = (len(records), len(stages))
        return cls(
            token_id=np.array([r.token_id for r in records], np.int32),
            rank=np.array([r.rank for r in records], np.int32),
            forced=np.array([r.forced for r in records], np.bool_),
            logit=np.array([r.logit for r in records], np.float32),
            logsumexp=np.array([r.logsumexp for r in records], np.float64),
            entropy=np.array([r.entropy for r in records], np.float64),
            probability=np.array([r.probability for r in records], np.float64),
            u=np.array([np.nan if r.u is None else r.u for r in records], np.float64),
            tail=np.array([r.tail for r in records], np.float32).reshape(-1, len(TEMPERATURES)),
            seen=np.array([r.seen for r in records], np.float32),
            ids=ids,
            logits=logits,
            stages=stages,
            kept=np.array(kept, np.int32).reshape(shape),
            mass=np.array(mass, np.float64).reshape(shape),
            after=np.array(after, np.float64).reshape(shape),
            best=np.array(best, np.int32).reshape(shape),
            measured=np.array(measured, np.float64).reshape(shape),
        )

    def record(self, row: int) -> StepRecord:
        """Return the step record of a row, equal in every number to the one stored."""
        listed = int(np.count_nonzero(self.ids[row] >= 0))
        u = float(self.u[row])
        return StepRecord(
            token_id=int(self.token_id[row]),
            logit=float(self.logit[row]),
            logsumexp=float(self.logsumexp[row]),
            entropy=float(self.entropy[row]),
            rank=int(self.rank[row]),
            probability=float(self.probability[row]),
            u=None if np.isnan(u) else u,
            forced=bool(self.forced[row]),
            top_ids=self.ids[row, :listed],
            top_logits=self.logits[row, :listed],
            tail=tuple(self.tail[row].tolist()),
            seen=float(self.seen[row]),
            stages=tuple(
                StageRecord(*values)
                for values in zip(
                    self.stages,
                    self.kept[row].tolist(),
                    self.mass[row].tolist(),
                    self.after[row].tolist(),
                    self.best[row].tolist(),
                    [None if np.isnan(x) else x for x in self.measured[row].tolist()],
                    strict=True,
                )
            ),
        )

    def records(self) -> tuple[StepRecord, ...]:
        """Return the step records of all rows."""
        return tuple(self.record(row) for row in range(len(self)))

    def part(self, rows: slice) -> "Columns":
        """Return some rows as copies, so that the memory of all other rows can be freed."""
        columns = {name: getattr(self, name)[rows].copy() for name in self._arrays()}
        return Columns(stages=self.stages, **columns)

    @classmethod
    def joined(cls, parts: Sequence["Columns"]) -> "Columns":
        """Concatenate parts in order. Raises ValueError if their stages differ."""
        if not parts:
            return cls.of(())
        if any(part.stages != parts[0].stages for part in parts):
            raise ValueError("the records of one run have the same stages")
        columns = {n: np.concatenate([getattr(p, n) for p in parts]) for n in cls._arrays()}
        return cls(stages=parts[0].stages, **columns)

    @classmethod
    def _arrays(cls) -> list[str]:
        return [item.name for item in fields(cls) if item.name != "stages"]
