"""The token loop: one thread that schedules, runs the model and samples, step after step."""

import logging
import threading
import time
from collections import abc
from collections.abc import Callable
from contextlib import suppress

from glasschat.engine.generation import DEFAULT_START, Generation, GenerationWriter, StartOptions
from glasschat.engine.reply import FinishReason
from glasschat.engine.request import GenerationRequest
from glasschat.engine.scheduler import (
    EXACT_CHUNK,
    ChunkPacer,
    EngineStats,
    ScheduledBatch,
    Scheduler,
)
from glasschat.engine.sequence import Sequence
from glasschat.engine.slots import SlotPool
from glasschat.errors import EngineError, EngineStopped, GlasschatError, ParameterError, QueueFull
from glasschat.messages import Message
from glasschat.models.base import ForwardRow, Logits, Model, ModelRunner
from glasschat.prompt import PromptEncoding
from glasschat.sampling import NO_STAGES, SamplingParams, Stage, StageClasses, quiet_arithmetic

log = logging.getLogger(__name__)

# Any id will do for the self-test; every vocabulary has this one.
_TEST_ID = 0


class Engine:
    """Token loop that serves many replies at once from one model, in a thread of its own.

    Any thread may call `submit` and use the handle that it returns; the engine's thread alone uses
    the model's runner. `exact` serves one request at a time on an empty cache, so that a seed gives
    the same ids whenever it is asked. Replies may ask for stages of `stage_classes`.
    `prefix_cache_bytes` of main memory keep what slots held before other sequences took them. When
    the engine fails by no single reply's fault, its thread calls `on_failure` with the reason
    before the replies end.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_waiting: int = 64,
        exact: bool = False,
        stage_classes: StageClasses = NO_STAGES,
        prefix_cache_bytes: int = 0,
        on_failure: Callable[[Message], None] = lambda _: None,
    ) -> None:
        if exact and model.runner.slots != 1:
            raise ParameterError("slots", "1 in exact mode", model.runner.slots)
        self.model = model
        self.exact = exact
        self._max_waiting = max_waiting
        self._stage_classes = stage_classes
        self._on_failure = on_failure
        self._slots = SlotPool(model.runner, reuse=not exact, prefix_cache_bytes=prefix_cache_bytes)
        self._pacer = ChunkPacer(EXACT_CHUNK if exact else None)
        self._scheduler = Scheduler(self._slots, self._pacer, exact=exact)
        self._inbox: list[Sequence] = []
        self._wake = threading.Condition()
        self._woken = self._closing = False
        self._failed: Message | None = None
        self._integrity_checked = True
        self._thread = threading.Thread(target=self._run, name="glasschat-engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        prompt: PromptEncoding | abc.Sequence[int],
        params: SamplingParams,
        *,
        trace: bool = True,
        constraint: Stage | None = None,
        start_options: StartOptions = DEFAULT_START,
    ) -> Generation:
        """Queue a request and return the handle on its reply at once.

        Where `prompt` ends with an open reply, that reply is continued: the handle has the new
        tokens only, and `start_options` are about those. Raises PromptTooLong, ParameterError,
        StageNotHere, QueueFull when `max_waiting` requests wait already, EngineStopped after
        `close` or a failure of the engine itself.
        """
        request = GenerationRequest.resolve(
            prompt,
            params,
            tokenizer=self.model.tokenizer,
            context=self.model.runner.context,
            trace=trace,
            constraint=constraint,
            stage_classes=self._stage_classes,
        )
        writer = GenerationWriter(request, start_options)
        sequence = Sequence(writer, self.model.tokenizer)
        with self._wake:
            if self._failed is not None:
                raise EngineStopped("the engine has failed: {failed}", failed=self._failed)
            if self._closing:
                raise EngineStopped("the engine has been closed")
            waiting = len(self._scheduler.waiting) + len(self._inbox)
            if waiting >= self._max_waiting + self._slots.free:
                raise QueueFull(
                    "{waiting} requests are waiting and at most {max_waiting} may: try again in "
                    "a moment",
                    waiting=waiting,
                    max_waiting=self._max_waiting,
                )
            self._inbox.append(sequence)
            writer.set_queue_position(max(1, waiting + 1 - self._slots.free))
        self._notify()
        return Generation(writer, self._notify)

    def stats(self) -> EngineStats:
        """Return the engine's load; the numbers may be one step old. Any thread may call it."""
        return EngineStats.of(self._scheduler, self._slots, len(self._inbox), self._failed)

    def close(self) -> None:
        """Stop the engine, and free the model's memory."""
        self.stop()
        # Not at the thread's own end: after a failure others may still be reading the vocabulary.
        self.model.runner.close()

    def stop(self) -> None:
        """Cancel what is running and end the thread; the model stays loaded."""
        self._closing = True
        self._notify()
        self._thread.join()

    # --- the engine's thread --------------------------------------------------------------

    def _run(self) -> None:
        """Run steps until the engine is closed or fails."""
        try:
            with quiet_arithmetic():
                while not self._closing:
                    if not self.step():
                        self._sleep()
        except BaseException as error:
            # SystemExit among them: a thread that ends without a word leaves everybody waiting.
            log.exception("the engine failed")
            self._failed = Message("{type}: {error}", type=type(error).__name__, error=error)
            self._on_failure(self._failed)
        finally:
            self._end_all()

    def _end_all(self) -> None:
        """End every reply: as cancelled, or with the engine's error."""
        reason = FinishReason.ERROR if self._failed else FinishReason.CANCELLED
        message = None
        if self._failed:
            message = Message("the engine has failed: {failed}", failed=self._failed)
        self._queue_arrivals()
        for sequence in [*self._scheduler.running, *self._scheduler.waiting]:
            with suppress(Exception):
                sequence.finish(reason, message)
            self._scheduler.remove(sequence)

    def step(self) -> bool:
        """Schedule, forward, sample. Returns False when there was nothing to do."""
        stepped = self._obey_controls()
        batch = self._scheduler.schedule()
        if not batch:
            return stepped
        self._integrity_checked = False
        for sequence, row in self._forward(batch):
            self._choose(sequence, row)
        return True

    def _queue_arrivals(self) -> None:
        """Move the requests that were submitted since the last step to the scheduler's queue."""
        with self._wake:
            self._woken = False
            arrived, self._inbox = self._inbox, []
            for sequence in arrived:
                self._scheduler.add(sequence)

    def _obey_controls(self) -> bool:
        """Queue arrivals, end what was cancelled, and choose the tokens that a pause held back.

        Returns whether a token was chosen.
        """
        self._queue_arrivals()
        chosen = False
        for sequence in [*self._scheduler.running, *self._scheduler.waiting]:
            controls = sequence.writer.controls
            if controls.cancelled:
                sequence.finish(FinishReason.CANCELLED)
                self._scheduler.remove(sequence)
            elif sequence.held_row is not None and not controls.waiting:
                row, sequence.held_row = sequence.held_row, None
                self._choose(sequence, row, held=True)
                chosen = True
        return chosen

    def _forward(self, batch: ScheduledBatch) -> list[tuple[Sequence, Logits]]:
        """Run the model over the batch; if that fails, over each sequence of it alone.

        Returns the sequences that need a token, each with its row of logits, float32 [vocab_size].
        """
        started = time.perf_counter()
        try:
            ready = compute(self.model.runner, batch)
        except Exception as error:
            if len(batch) == 1:
                self._fail_alone(next(iter(batch)), error)
                return []
            # One row spoils the batch: one by one, only the culprit fails. Each sequence is
            # sampled before the next forward, which would overwrite its logits.
            for sequence, count in batch.items():
                for row in self._forward({sequence: count}):
                    self._choose(*row)
            return []
        prompt_tokens = sum(count for count in batch.values() if count > 1)
        if prompt_tokens:
            self._pacer.record_step(prompt_tokens, time.perf_counter() - started)
        return ready

    def _choose(self, sequence: Sequence, row: Logits, *, held: bool = False) -> None:
        """Choose the next token from `row`, float32 [vocab_size], or hold the row in a pause."""
        try:
            if not held and sequence.hold_if_paused(row):
                return
            ended = sequence.advance(row)
        except Exception as error:
            self._fail(sequence, error)
            return
        if ended is not None:
            self._scheduler.remove(sequence)

    def _fail_alone(self, sequence: Sequence, error: Exception) -> None:
        """End a reply whose rows cannot be computed. Raises if the runner computes nothing."""
        if sequence.slot is not None:
            # A fault of this reply leaves the others running. A fault of the device, or a broken
            # runner, would fail every later reply, one by one. The self-test finds out which it
            # is before the reply's watchers are told.
            self_test(self.model.runner, sequence.slot.index)
        self._fail(sequence, error)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        """End a reply with an error, and empty its slot."""
        if isinstance(error, GlasschatError):
            message = error.message
        else:
            log.error("a reply failed", exc_info=error)
            message = Message(
                "internal error: {type}: {error}", type=type(error).__name__, error=error
            )
        sequence.finish(FinishReason.ERROR, message)
        if sequence.slot is not None:
            # What went wrong may lie in the cache: the next try starts afresh.
            self._slots.invalidate(sequence.slot)
        self._scheduler.remove(sequence)

    def _sleep(self) -> None:
        """Wait for a request or a signal; before, check the slots once when all is done."""
        if (
            not self._integrity_checked
            and not self._scheduler.running
            and not self._scheduler.waiting
        ):
            self._slots.check_integrity()
            self._integrity_checked = True
        with self._wake:
            self._wake.wait_for(lambda: self._woken)

    def _notify(self) -> None:
        """Wake the engine's thread if it sleeps."""
        with self._wake:
            self._woken = True
            self._wake.notify()


def compute(runner: ModelRunner, batch: ScheduledBatch) -> list[tuple[Sequence, Logits]]:
    """Run the model over the batch.

    Returns the sequences that need a token, each with its row of logits, float32 [vocab_size]. The
    rows are valid until the next call. Raises what the runner raises; no sequence has changed then.
    """
    rows = [sequence.next_row(count) for sequence, count in batch.items()]
    logits = runner.forward(rows)
    ready: list[Sequence] = []
    for sequence, row in zip(batch, rows, strict=True):
        sequence.mark_computed(row.ids)
        if row.wants_logits:
            ready.append(sequence)
    return list(zip(ready, logits, strict=True))


def self_test(runner: ModelRunner, slot: int) -> None:
    """Compute one token in `slot`, which is emptied before and after.

    Raises what the runner raises, or EngineError where the slot does not hold what it should.
    """
    runner.truncate(slot, 0)
    runner.forward([ForwardRow(slot, 0, (_TEST_ID,), False)])
    held = [runner.cached_length(slot)]
    runner.truncate(slot, 0)
    held.append(runner.cached_length(slot))
    if held != [1, 0]:
        raise EngineError(
            "slot {slot} held {filled} positions of 1, and {left} once emptied",
            slot=slot,
            filled=held[0],
            left=held[1],
        )


def reset_runner(runner: ModelRunner) -> None:
    """Empty every slot of a runner whose engine has ended, and test that it computes.

    Only the thread that owns the runner may call it. Raises as `self_test` does; the model has to
    be loaded again in that case.
    """
    for slot in range(runner.slots):
        runner.truncate(slot, 0)
        self_test(runner, slot)
