"""Metadata of a model, the same for a GGUF and for a Hugging Face folder.

Everything here can be read without the weights and without opening the vocabulary. Checks read
this and never ask for the format.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from glasschat.messages import Message

Kind = Literal["GGUF", "folder"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement that a token has this id; `source` is a metadata key, or a file and its key."""

    source: str
    token_id: int


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary position parameters, as far as the model names them.

    `scaling` is the method that brings positions beyond `original` back into range, "" for none.
    """

    base: float | None = None
    scaling: str = ""
    factor: float | None = None
    original: int | None = None


@dataclass(frozen=True, slots=True)
class TensorLocation:
    """Place of a tensor in a file: `offset` and `size` in bytes, `type` as the file names it."""

    name: str
    type: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetadata:
    """What a model states about itself; empty, zero or None where it states nothing.

    `storage` is the type of most weights, such as `Q4_K_M` or `bfloat16`; `bits` are those of one
    weight of that type. `weight_bytes` are on disk. `shape` has the figures of the architecture
    under their Hugging Face names.

    `tokens` is the size of the vocabulary, where that is known without opening it; `ordinary_ids`
    are the ids that are typed as plain words. `begin_claims` and `end_claims` name tokens by id,
    `begin_texts` and `end_texts` by their text. `begin_required_by` is the source that decides
    whether begin-of-text comes in front of a prompt, `end_spelling_source` the one that recognises
    ends by their spelling. `pre_tokenizer` is the name of the rules that split text into words, if
    they have a name.

    `unsupported` says why glasschat cannot run the model, `tested` whether tests cover its family.
    `code` has what would be run, and is refused. `ignored_files` are in the folder, and are never
    opened.
    """

    kind: Kind
    path: Path
    name: str
    declared_name: str = ""
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
    tensors: tuple[TensorLocation, ...] = ()
    embedding_rows: int = 0
    output_rows: int = 0
    vocabulary_claim: Claim | None = None
    tokens: int = 0
    begin_claims: tuple[Claim, ...] = ()
    begin_required_by: str = ""
    end_claims: tuple[Claim, ...] = ()
    begin_texts: tuple[tuple[str, str], ...] = ()
    end_texts: tuple[tuple[str, str], ...] = ()
    end_spelling_source: str = ""
    template_source: str = ""
    other_templates: tuple[str, ...] = ()
    pre_tokenizer: str | None = None
    pre_tokenizer_source: str = ""
    sentencepiece: bool = False
    ordinary_ids: frozenset[int] = frozenset()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sampling_source: str = ""
    unsupported: Message | None = None
    tested: bool = True
    code: tuple[str, ...] = ()
    ignored_files: tuple[str, ...] = ()
