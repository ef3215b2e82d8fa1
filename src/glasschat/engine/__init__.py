"""Ids in, events out: the token loop and the handles on what it generates."""

from glasschat.engine.engine import Engine, revive
from glasschat.engine.generation import AT_ONCE, Beginning, Breakpoint, Generation
from glasschat.engine.output_text import IncrementalDetokenizer
from glasschat.engine.reply import Reply, ReplyPrompt
from glasschat.engine.request import GenerationRequest
from glasschat.engine.scheduler import EngineStats
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Timings, Token, Usage

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
    "Reply",
    "ReplyPrompt",
    "Snapshot",
    "State",
    "Step",
    "Timings",
    "Token",
    "Usage",
    "revive",
]
