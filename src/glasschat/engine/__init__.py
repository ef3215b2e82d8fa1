"""Ids in, events out: the token loop and the handles on what it generates."""

from glasschat.engine.detokenizer import IncrementalDetokenizer
from glasschat.engine.engine import Engine
from glasschat.engine.generation import Generation
from glasschat.engine.request import GenerationRequest
from glasschat.engine.signals import AT_ONCE, Beginning, Breakpoint
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Timings, Usage
from glasschat.engine.stats import EngineStats

__all__ = [
    "AT_ONCE",
    "Beginning",
    "Breakpoint",
    "Engine",
    "EngineStats",
    "FinishReason",
    "Generation",
    "GenerationRequest",
    "IncrementalDetokenizer",
    "Snapshot",
    "State",
    "Step",
    "Timings",
    "Usage",
]
