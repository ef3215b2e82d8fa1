"""What the engine asks of a runner: the rows of a batch, and whether it still computes at all."""

from glasschat.engine.scheduler import ScheduledBatch
from glasschat.engine.sequence import Sequence
from glasschat.errors import EngineError
from glasschat.models.base import ForwardRow, Logits, ModelRunner

# Every vocabulary has it.
_SOME_ID = 0


def compute(runner: ModelRunner, batch: ScheduledBatch) -> list[tuple[Sequence, Logits]]:
    """Run the batch; the sequences that need a token, each with its row of logits.

    The rows are valid until the next call. Raises what the runner raises; nothing has changed then.
    """
    rows: list[ForwardRow] = []
    wanting: list[Sequence] = []
    for sequence, count in batch.items():
        assert sequence.slot is not None
        wants = count == sequence.remaining
        rows.append(
            ForwardRow(sequence.slot.index, sequence.computed, sequence.next_ids(count), wants)
        )
        if wants:
            wanting.append(sequence)
    logits = runner.forward(rows)
    for (sequence, count), row in zip(batch.items(), rows, strict=True):
        assert sequence.slot is not None
        sequence.slot.ids.extend(row.ids)
        sequence.computed += count
        if sequence.prefilling or count > 1:
            sequence.generation._set_prefilled(
                min(sequence.computed, len(sequence.request.prompt_ids))
            )
    return list(zip(wanting, logits, strict=True))


def prove(runner: ModelRunner, slot: int) -> None:
    """Compute one token in `slot`, which is emptied before and after.

    Raises what the runner raises, or EngineError where the slot does not hold what it should.
    """
    runner.truncate(slot, 0)
    runner.forward([ForwardRow(slot, 0, (_SOME_ID,), False)])
    held = [runner.cached_length(slot)]
    runner.truncate(slot, 0)
    held.append(runner.cached_length(slot))
    if held != [1, 0]:
        raise EngineError(f"slot {slot} held {held[0]} positions of 1, and {held[1]} once emptied")


def revive(runner: ModelRunner) -> None:
    """Make a runner as good as new whose engine has ended: no slot holds anything, and it computes.

    For the one thread that has the runner then. Raises as `prove` does; the model has to be
    loaded again in that case.
    """
    for slot in range(runner.slots):
        runner.truncate(slot, 0)
        prove(runner, slot)
