"""The token loop: token ids in, replies out, with continuous batching over KV cache slots."""

from glasschat.engine.engine import Engine, reset_runner
from glasschat.engine.generation import (
    DEFAULT_START,
    Breakpoint,
    Generation,
    GenerationWriter,
    StartOptions,
)
from glasschat.engine.output_text import IncrementalDetokenizer
from glasschat.engine.reply import (
    FinishReason,
    Reply,
    ReplyProgress,
    ReplyPrompt,
    Snapshot,
    State,
    Step,
    Timings,
    Token,
    Usage,
)
from glasschat.engine.request import GenerationRequest
from glasschat.engine.scheduler import EngineStats

__all__ = [
    "DEFAULT_START",
    "Breakpoint",
    "Engine",
    "EngineStats",
    "FinishReason",
    "Generation",
    "GenerationRequest",
    "GenerationWriter",
    "IncrementalDetokenizer",
    "Reply",
    "ReplyProgress",
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
