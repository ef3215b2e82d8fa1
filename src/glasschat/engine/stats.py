"""What an engine is doing, seen from outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine is doing. `repairs` counts slots that the idle check had to empty."""

    running: int
    waiting: int
    free_slots: int
    slots: int
    repairs: int
    failed: str | None
