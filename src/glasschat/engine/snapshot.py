"""What a watcher sees of a reply."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from glasschat.sampling import StepRecord


class State(StrEnum):
    """Where a reply is on its way."""

    QUEUED = "queued"
    PREFILLING = "prefilling"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


class FinishReason(StrEnum):
    """Why a reply ended. Assigned once."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"


class Token(Protocol):
    """A token of a reply, whoever wrote it."""

    @property
    def text(self) -> str:
        """What it released: nothing where a character or a stop string was still waited for."""

    @property
    def token_id(self) -> int | None:
        """Its id; None where only texts are known."""

    @property
    def record(self) -> StepRecord | None:
        """How it was chosen, where that was recorded."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of a reply: its id, the text that it released, how it was chosen."""

    token_id: int
    text: str
    record: StepRecord | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` of the prompt were not computed anew."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds and tokens per second; None where there was nothing to measure.

    `ttft_s` runs from submission to the first token, waiting included. `prefill_tps` counts the
    prompt tokens that were computed, `decode_tps` the tokens after the first.
    """

    ttft_s: float | None
    prefill_tps: float | None
    decode_tps: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply at one moment.

    `queue_position` is 1 for the next to be admitted, 0 when not queued. `prefilled` counts
    prompt tokens in the cache, those found there included. `seed` is the one in use, drawn
    afresh where none was given.
    """

    version: int
    state: State
    queue_position: int
    prefilled: int
    usage: Usage
    text: str
    finish_reason: FinishReason | None
    error: str | None
    timings: Timings
    seed: int | None
