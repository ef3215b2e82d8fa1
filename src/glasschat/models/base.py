"""What the engine asks of a model: a tokenizer and a runner.

Three things stand behind each protocol: llama.cpp, transformers' modelling code, and a scripted
model for the engine's edge cases. Nothing here knows of any.
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
    """What a slot held, outside of it."""

    @property
    def nbytes(self) -> int:
        """Main memory that it takes."""


class ModelRunner(Protocol):
    """Runs the model over a fixed number of slots, each a KV cache of `context` positions.

    One thread owns a runner: all calls but the first come from the engine's thread.
    """

    @property
    def vocab_size(self) -> int:
        """The length of a row of logits."""

    @property
    def slots(self) -> int:
        """How many sequences have a KV cache at once."""

    @property
    def context(self) -> int:
        """How many positions each slot holds."""

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        """Append each row's ids to its slot; return the logits after the last id of each row
        that wants them, float32 [n, vocab_size], in the order of the rows.

        The array is valid until the next call. A row's `start` is the length of its slot.
        Raises ReplyFailed, with every slot as it was, when the batch cannot be computed.
        """

    def truncate(self, slot: int, length: int) -> bool:
        """Forget all positions of `slot` from `length` on.

        False when the cache cannot forget a part only; the slot is then empty.
        """

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        """Make `target` hold the first `length` positions of `source`, and nothing else.

        False when the cache cannot share a part only; `target` is then empty.
        """

    @property
    def idle_slots_cost(self) -> bool:
        """Whether what idle slots hold slows the others down."""

    def save(self, slot: int) -> SavedCache | None:
        """What `slot` holds, to be restored later; None where that cannot be done."""

    def restore(self, slot: int, saved: SavedCache) -> bool:
        """Make `slot` hold what `save` of this runner gave, whichever slot that was of.

        False when it cannot; `slot` is then empty.
        """

    def cached_length(self, slot: int) -> int:
        """How many positions `slot` holds, as the backend itself counts them."""

    def close(self) -> None:
        """Give the memory back. Calling it twice is allowed."""


class Tokenizer(Protocol):
    """Text to ids and back. Safe to call from any thread."""

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""

    @property
    def bos_id(self) -> int | None:
        """The begin-of-text token, if the model has one."""

    @property
    def eos_id(self) -> int | None:
        """The end token that templates call eos_token, if the model names one."""

    @property
    def adds_bos(self) -> bool:
        """Whether the model's metadata asks for a begin-of-text token in front of every prompt."""

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a reply."""

    @property
    def control_ids(self) -> frozenset[int]:
        """Every id that content must never become: control tokens and structural added tokens."""

    @property
    def hidden_ids(self) -> frozenset[int]:
        """Every id that has no text in a reply.

        Those of `control_ids` but for the added tokens that readers are meant to see, such as
        Qwen3's `<think>`.
        """

    @property
    def template_source(self) -> str | None:
        """The model's own chat template, as Jinja text."""

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Ids of `text`; nothing is put in front of it, neither begin-of-text nor a space.

        With `control`, pieces such as `<|im_end|>` become their control tokens. Without, the
        backend is asked to read them as text; the prompt room checks that it did.
        """

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that the token stands for; for a control token, its piece as written."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model without running it.

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
    """A loaded model: what it is, its tokenizer, its runner."""

    info: ModelInfo
    tokenizer: Tokenizer
    runner: ModelRunner
