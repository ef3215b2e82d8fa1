"""What a model says of itself, the same for a GGUF and for a Hugging Face folder.

Everything here can be known without its weights and without its vocabulary. A check reads these
and never asks which kind it has before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["GGUF", "folder"]


@dataclass(frozen=True, slots=True)
class Claim:
    """`source` (a metadata key, a file and its key) says that a token has this id."""

    source: str
    token_id: int


@dataclass(frozen=True, slots=True)
class Rope:
    """The rotary positions, as far as the model names them.

    `scaling` is how positions beyond `original` are brought back into range; empty for none.
    """

    base: float | None = None
    scaling: str = ""
    factor: float | None = None
    original: int | None = None


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A tensor as it lies in a file: `offset` and `size` in bytes, `type` as the file names it."""

    name: str
    type: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a model says of itself; empty, zero or None where it says nothing.

    `storage` is how most weights are stored: `Q4_K_M`, `bfloat16`; `bits` are those of one weight
    by that name. `weight_bytes` are on disk. `shape` has the figures of the architecture under
    their Hugging Face names.

    `tokens` is how many the tokenizer has, where that is known without opening it; `ordinary` are
    the ids that are typed as plain words. `begins` and `ends` name tokens by number, `begin_pieces`
    and `end_pieces` as they are written. `begin_asked_by` decides whether begin-of-text is due in
    front of a prompt, `spelled_ends` knows ends that nothing names. `splitter` is how text is cut
    into words before all else, where that is a name.

    `unsupported` says why glasschat cannot run it, `proven` whether tests hold its family.
    `code` is what would be run, and is refused; `unopened` is in the folder, and never opened.
    """

    kind: Kind
    path: Path
    name: str
    own_name: str = ""
    architecture: str = ""
    storage: str = ""
    bits: int = 16
    parameters: int = 0
    weight_bytes: int = 0
    files: int = 1
    context: int = 0
    context_source: str = ""
    rope: Rope = Rope()
    shape: Mapping[str, float] = field(default_factory=dict)
    tensors: tuple[TensorPlace, ...] = ()
    embedding_rows: int = 0
    output_rows: int = 0
    vocabulary_claim: Claim | None = None
    tokens: int = 0
    begins: tuple[Claim, ...] = ()
    begin_asked_by: str = ""
    ends: tuple[Claim, ...] = ()
    begin_pieces: tuple[tuple[str, str], ...] = ()
    end_pieces: tuple[tuple[str, str], ...] = ()
    spelled_ends: str = ""
    template_source: str = ""
    other_templates: tuple[str, ...] = ()
    splitter: str | None = None
    splitter_source: str = ""
    sentencepiece: bool = False
    ordinary: frozenset[int] = frozenset()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sampling_source: str = ""
    unsupported: str = ""
    proven: bool = True
    code: tuple[str, ...] = ()
    unopened: tuple[str, ...] = ()
