"""The contract between the engine and a model: a tokenizer and a runner.

Three things implement each protocol: llama.cpp, transformers' modelling code, and a scripted model
for the engine's edge cases. This module knows none of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class ForwardRow(NamedTuple):
    """One sequence's part of a batch: `ids` go to positions `start`, `start + 1`, … of `slot`."""

    slot: int
    start: int
    ids: Sequence[int]
    wants_logits: bool


class SavedCache(Protocol):
    """A copy of a slot's KV cache, outside of the slot."""

    @property
    def nbytes(self) -> int:
        """Return how many bytes of main memory it takes."""


class ModelRunner(Protocol):
    """Runs the model over a fixed number of slots, each a KV cache of `context` positions.

    One thread owns a runner: all calls but the first come from the engine's thread.
    """

    @property
    def vocab_size(self) -> int:
        """Return the length of a row of logits."""

    @property
    def slots(self) -> int:
        """Return how many sequences have a KV cache at once."""

    @property
    def context(self) -> int:
        """Return how many positions each slot holds."""

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        """Append each row's ids to its slot and return logits, float32 [n, vocab_size].

        There is one row of logits for each row that wants them, behind its last id, in the order of
        the rows. The array is valid until the next call. A row's `start` is the length of its slot.
        Raises ReplyFailed, with every slot as it was, when the batch cannot be computed.
        """

    def truncate(self, slot: int, length: int) -> bool:
        """Remove all positions of `slot` from `length` on.

        Returns False when the cache cannot remove a part only; the slot is then empty.
        """

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        """Make `target` hold the first `length` positions of `source`, and nothing else.

        Returns False when the cache cannot share a part only; `target` is then empty.
        """

    @property
    def idle_slots_cost(self) -> bool:
        """Return whether the contents of idle slots slow the busy ones down."""

    def save(self, slot: int) -> SavedCache | None:
        """Return a copy of `slot` for `restore`; None where that cannot be done."""

    def restore(self, slot: int, saved: SavedCache) -> bool:
        """Make `slot` hold what `save` of this runner returned, whichever slot that was of.

        Returns False when it cannot; `slot` is then empty.
        """

    def cached_length(self, slot: int) -> int:
        """Return how many positions `slot` holds, by the backend's own count."""

    def close(self) -> None:
        """Free the memory. Calling it twice is allowed."""


class Tokenizer(Protocol):
    """Converts text to ids and back. Safe to call from any thread."""

    @property
    def vocab_size(self) -> int:
        """Return how many ids there are."""

    @property
    def bos_id(self) -> int | None:
        """Return the begin-of-text token, if the model has one."""

    @property
    def eos_id(self) -> int | None:
        """Return the end token that templates call eos_token, if the model names one."""

    @property
    def adds_bos(self) -> bool:
        """Return whether the model's metadata asks for begin-of-text in front of every prompt."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Return the tokens that end a reply."""

    @property
    def control_ids(self) -> frozenset[int]:
        """Return the ids that content must never become: control and structural added tokens."""

    @property
    def hidden_ids(self) -> frozenset[int]:
        """Return the ids that have no text in a reply.

        Those are `control_ids` without the added tokens that readers are meant to see, such as
        Qwen3's `<think>`.
        """

    @property
    def template_source(self) -> str | None:
        """Return the model's own chat template, as Jinja text."""

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Return the ids of `text`; nothing is put in front of it, no begin-of-text and no space.

        With `control`, pieces such as `<|im_end|>` become their control tokens. Without, the
        backend is asked to read them as text; `prompt.content` checks that it did.
        """

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that the token stands for; for a control token, its piece as written."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts about a model that are known without running it.

    `recommended` are its makers' sampling settings, by the names of SamplingParams.
    """

    name: str
    path: Path
    architecture: str
    quantization: str
    parameters: int
    file_bytes: int
    train_context: int
    vocab_size: int
    recommended: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model: its facts, its tokenizer, its runner."""

    info: ModelInfo
    tokenizer: Tokenizer
    runner: ModelRunner
