"""What an engine is doing, seen from outside."""

from dataclasses import dataclass

from glasschat.engine.scheduler import Scheduler
from glasschat.engine.slots import SlotPool


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine is doing.

    `cache_used` is the share, 0 to 1, of the KV cache's positions that running replies hold;
    `shelf_bytes` is the main memory that conversations without a slot take;
    `repairs` counts slots that the idle check had to empty.
    """

    running: int
    waiting: int
    free_slots: int
    slots: int
    cache_used: float
    shelf_bytes: int
    repairs: int
    failed: str | None

    @classmethod
    def of(
        cls, scheduler: Scheduler, slots: SlotPool, arrived: int, failed: str | None
    ) -> "EngineStats":
        """With so many requests that have `arrived` and are not scheduled yet."""
        return cls(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting) + arrived,
            free_slots=slots.free,
            slots=len(slots.slots),
            cache_used=slots.used,
            shelf_bytes=slots.shelf.bytes,
            repairs=slots.repairs,
            failed=failed,
        )
