"""Runs a model over several texts at once, and records its predictions at every place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.models.base import ForwardRow, Logits, ModelRunner

LogProbs = NDArray[np.float32]
Visit = Callable[[int, int, Logits], int]
"""Text, place and row of logits to the id that goes to that place."""


class NonFiniteLogits(Exception):
    """The model computed logits that are NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to read: `given` is prefilled at once, then `length` ids follow one by one.

    `follow` has these ids. Without it each is the one that the model finds likeliest.
    """

    text: str
    given: tuple[int, ...]
    follow: tuple[int, ...] | None
    length: int


@dataclass(frozen=True, slots=True)
class Recording:
    """Predictions of one model for a passage: an id and a row of log-probabilities for each place.

    `rows` is float32 of shape (places, vocabulary).
    """

    passage: Passage
    ids: tuple[int, ...]
    rows: LogProbs


def record(
    runner: ModelRunner,
    passages: Sequence[Passage],
    vocab_size: int,
    step: Callable[[], None],
) -> list[Recording]:
    """Run a model over all passages; rows are over the first `vocab_size` ids.

    Takes 4 bytes for each id and place: 70 MB for 350 places and 49,152 ids. `step` is called
    `count_steps` times. Raises NonFiniteLogits, ReplyFailed.
    """
    rows = [np.empty((p.length, vocab_size), dtype=np.float32) for p in passages]
    chosen: list[list[int]] = [[] for _ in passages]

    def visit(text: int, place: int, logits: Logits) -> int:
        rows[text][place] = log_softmax(logits[:vocab_size])
        follow = passages[text].follow
        token_id = int(rows[text][place].argmax()) if follow is None else follow[place]
        chosen[text].append(token_id)
        return token_id

    run_passages(runner, passages, visit, step)
    return [
        Recording(passage, tuple(ids), log_probs)
        for passage, ids, log_probs in zip(passages, chosen, rows, strict=True)
    ]


def run_passages(
    runner: ModelRunner, passages: Sequence[Passage], visit: Visit, step: Callable[[], None]
) -> None:
    """Read each passage in a slot of its own, all of them side by side, one token a step.

    Weights are read once for all of them, so that five texts take hardly longer than one.
    """
    rows: dict[int, Logits] = {}
    for slot, passage in enumerate(passages):
        runner.truncate(slot, 0)
        rows[slot] = runner.forward([ForwardRow(slot, 0, passage.given, True)])[0].copy()
        step()
    for place in range(max((p.length for p in passages), default=0)):
        batch = []
        for slot in [s for s in rows if place < passages[s].length]:
            token_id = visit(slot, place, rows.pop(slot))
            if place + 1 < passages[slot].length:
                start = len(passages[slot].given) + place
                batch.append(ForwardRow(slot, start, [token_id], True))
        if batch:
            logits = runner.forward(batch)
            rows = {row.slot: logits[i].copy() for i, row in enumerate(batch)}
        step()


def count_steps(passages: Sequence[Passage]) -> int:
    """Return how often `run_passages` calls its `step`."""
    return len(passages) + max((passage.length for passage in passages), default=0)


def log_softmax(logits: Logits) -> LogProbs:
    """Return the log-probabilities of one row as float32, computed in float64.

    `logits` is 1-D over the vocabulary. Raises NonFiniteLogits.
    """
    row = logits.astype(np.float64)
    peak = row.max()
    # -inf is a token that cannot be; NaN or a peak of infinity is a model that is broken.
    if not np.isfinite(peak) or np.isnan(row).any():
        raise NonFiniteLogits
    row -= peak
    row -= np.log(np.exp(row).sum())
    return row.astype(np.float32)
