"""Ids in, events out: the token loop and the handles on what it generates."""

from glasschat.engine.computing import revive
from glasschat.engine.detokenizer import IncrementalDetokenizer
from glasschat.engine.engine import Engine
from glasschat.engine.generation import Generation
from glasschat.engine.reply import Reply, ReplyPrompt
from glasschat.engine.request import GenerationRequest
from glasschat.engine.signals import AT_ONCE, Beginning, Breakpoint
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Timings, Token, Usage
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
