"""Ids in, events out: the token loop and the handles on what it generates."""

from glasschat.engine.engine import Engine, reset_runner
from glasschat.engine.generation import DEFAULT_START, Breakpoint, Generation, StartOptions
from glasschat.engine.output_text import IncrementalDetokenizer
from glasschat.engine.reply import Reply, ReplyPrompt
from glasschat.engine.request import GenerationRequest
from glasschat.engine.scheduler import EngineStats
from glasschat.engine.snapshot import FinishReason, Snapshot, State, Step, Timings, Token, Usage

__all__ = [
    "DEFAULT_START",
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
    "StartOptions",
    "State",
    "Step",
    "Timings",
    "Token",
    "Usage",
    "reset_runner",
]
