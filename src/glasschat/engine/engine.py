"""The token loop: one thread that schedules, runs the model and samples, step after step."""

import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence as Items
from contextlib import suppress

from glasschat.engine.generation import DEFAULT_START, Generation, StartOptions
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
from glasschat.engine.snapshot import FinishReason
from glasschat.errors import EngineError, EngineStopped, GlasschatError, ParameterError, QueueFull
from glasschat.models.base import ForwardRow, Logits, Model, ModelRunner
from glasschat.prompt import PromptEncoding
from glasschat.sampling import NO_STAGES, SamplingParams, Stage, StageClasses, quiet_arithmetic

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


def self_test(runner: ModelRunner, slot: int) -> None:
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


def reset_runner(runner: ModelRunner) -> None:
    """Make a runner as good as new whose engine has ended: no slot holds anything, and it computes.

    For the one thread that has the runner then. Raises as `self_test` does; the model has to be
    loaded again in that case.
    """
    for slot in range(runner.slots):
        runner.truncate(slot, 0)
        self_test(runner, slot)


log = logging.getLogger(__name__)


class Engine:
    """Serves many replies at once from one model.

    `submit` and the handle that it returns are for any thread, the model's runner for the engine's
    own. `exact` serves one request at a time on an empty cache, so that a seed gives the same ids
    whenever it is asked. Replies may ask for stages of `stage_classes`. `prefix_cache_bytes` of
    main memory keep what slots held before others took them. Ended by no single reply's fault, its
    thread calls `on_failure` before the replies are told.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_waiting: int = 64,
        exact: bool = False,
        stage_classes: StageClasses = NO_STAGES,
        prefix_cache_bytes: int = 0,
        on_failure: Callable[[str], None] = lambda _: None,
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
        self._failed: str | None = None
        self._checked = True
        self._thread = threading.Thread(target=self._run, name="glasschat-engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        prompt: PromptEncoding | Items[int],
        params: SamplingParams,
        *,
        trace: bool = True,
        constraint: Stage | None = None,
        start_options: StartOptions = DEFAULT_START,
    ) -> Generation:
        """Queue a request and return the handle on its reply at once.

        A reply that `prompt` ends with goes on; the handle is on what comes of it now, and
        `start_options` is about that.
        Raises PromptTooLong, ParameterError, StageNotHere, QueueFull when `max_waiting` requests
        wait already, EngineStopped after `close` or a failure of the engine itself.
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
        generation = Generation(request, self._notify, start_options)
        sequence = Sequence(generation, self.model.tokenizer)
        with self._wake:
            if self._failed is not None:
                raise EngineStopped(f"the engine has failed: {self._failed}")
            if self._closing:
                raise EngineStopped("the engine has been closed")
            waiting = len(self._scheduler.waiting) + len(self._inbox)
            if waiting >= self._max_waiting + self._slots.free:
                raise QueueFull(
                    f"{waiting} requests are waiting and at most {self._max_waiting} may: "
                    "try again in a moment"
                )
            self._inbox.append(sequence)
            generation._set_queue_position(max(1, waiting + 1 - self._slots.free))
        self._notify()
        return generation

    def stats(self) -> EngineStats:
        """A look from outside; the numbers may be one step old."""
        return EngineStats.of(self._scheduler, self._slots, len(self._inbox), self._failed)

    def close(self) -> None:
        """`stop`, and give the model's memory back."""
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
        try:
            with quiet_arithmetic():
                while not self._closing:
                    if not self.step():
                        self._sleep()
        except BaseException as error:
            # SystemExit among them: a thread that ends without a word leaves everybody waiting.
            log.exception("the engine failed")
            self._failed = f"{type(error).__name__}: {error}"
            self._on_failure(self._failed)
        finally:
            self._end_all()

    def _end_all(self) -> None:
        reason = FinishReason.ERROR if self._failed else FinishReason.CANCELLED
        message = f"the engine has failed: {self._failed}" if self._failed else None
        self._take_inbox()
        for sequence in [*self._scheduler.running, *self._scheduler.waiting]:
            with suppress(Exception):
                sequence.finish(reason, message)
            self._scheduler.remove(sequence)

    def step(self) -> bool:
        """Schedule, forward, sample; False when there was nothing to do."""
        self._take_inbox()
        self._take_cancels()
        stepped = self._take_held()
        batch = self._scheduler.schedule()
        if not batch:
            return stepped
        self._checked = False
        logits = self._forward(batch)
        for sequence, row in logits:
            self._choose(sequence, row)
        return True

    def _take_inbox(self) -> None:
        with self._wake:
            self._woken = False
            arrived, self._inbox = self._inbox, []
            for sequence in arrived:
                self._scheduler.add(sequence)

    def _take_cancels(self) -> None:
        for sequence in [*self._scheduler.running, *self._scheduler.waiting]:
            if sequence.generation._signals.cancelled:
                sequence.finish(FinishReason.CANCELLED)
                self._scheduler.remove(sequence)

    def _take_held(self) -> bool:
        """Let the choices fall that waited for a signal; whether there were any."""
        held = [(s, row) for s in self._scheduler.running if (row := s.take_held()) is not None]
        for sequence, row in held:
            self._choose(sequence, row, held=True)
        return bool(held)

    def _forward(self, batch: ScheduledBatch) -> list[tuple[Sequence, Logits]]:
        """Run the batch; the sequences that need a token, each with its row of logits."""
        started = time.perf_counter()
        try:
            chosen = compute(self.model.runner, batch)
        except Exception as error:
            if len(batch) == 1:
                self._fail_alone(next(iter(batch)), error)
                return []
            # Somebody's row spoils the batch: one by one, only the culprit fails. Each is
            # sampled before the next forward, which would overwrite its logits.
            for sequence, count in batch.items():
                for row in self._forward({sequence: count}):
                    self._choose(*row)
            return []
        prompt_tokens = sum(count for count in batch.values() if count > 1)
        self._pacer.measured(prompt_tokens, time.perf_counter() - started)
        return chosen

    def _choose(self, sequence: Sequence, row: Logits, *, held: bool = False) -> None:
        try:
            if not held and sequence.pauses(row):
                return
            ended = sequence.advance(row)
        except Exception as error:
            self._fail(sequence, error)
            return
        if ended is not None:
            self._scheduler.remove(sequence)

    def _fail_alone(self, sequence: Sequence, error: Exception) -> None:
        """End a reply whose rows cannot be computed. Raises where nothing can be any more."""
        if sequence.slot is not None:
            # A fault of this reply leaves the rest at work. One of the device's, or of a runner
            # that is broken, would fail every reply that comes, one by one and for ever. Which of
            # them it is, is known before anybody is told.
            self_test(self.model.runner, sequence.slot.index)
        self._fail(sequence, error)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        message = str(error)
        if not isinstance(error, GlasschatError):
            log.error("a reply failed", exc_info=error)
            message = f"internal error: {type(error).__name__}: {error}"
        sequence.finish(FinishReason.ERROR, message)
        if sequence.slot is not None:
            # What went wrong may lie in the cache: the next try starts afresh.
            self._slots.forget(sequence.slot)
        self._scheduler.remove(sequence)

    def _sleep(self) -> None:
        if not self._checked and not self._scheduler.running and not self._scheduler.waiting:
            self._slots.check()
            self._checked = True
        with self._wake:
            self._wake.wait_for(lambda: self._woken)

    def _notify(self) -> None:
        with self._wake:
            self._woken = True
            self._wake.notify()
