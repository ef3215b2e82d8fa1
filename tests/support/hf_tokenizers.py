"""The vocabulary of a small GGUF as a Hugging Face folder: the same tokens, another library."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glasschat.models.gguf.header import read_header
from tests.support.ggufs import BYTE, CONTROL, UNKNOWN, USER_DEFINED

_KEYS = tuple(f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges", "scores"))
_SPACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
_UNSPACE = [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
]
_STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
# How Qwen2 cuts a text; Llama-3 differs in how many digits stay together.
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LEVELS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def folder_of(
    source: Path,
    target: Path,
    *,
    legacy: bool = True,
    flags: Mapping[str, Mapping[str, bool]] | None = None,
) -> Path:
    """Write the tokenizer of the GGUF at `source` to the folder `target`.

    A sentencepiece vocabulary that puts a space in front does so after every control token if
    `legacy`, as Llama 2's, else only at the start of a text. `flags` go over those of a token.
    """
    metadata = read_header(source, _KEYS).metadata
    tokens, types, merges, scores = (metadata.get(key) for key in _KEYS)
    assert isinstance(tokens, tuple) and isinstance(types, tuple)
    if metadata["tokenizer.ggml.model"] == "gpt2":
        assert isinstance(merges, tuple)
        document = _byte_level(tokens, merges, str(metadata["tokenizer.ggml.pre"]))
    else:
        assert isinstance(scores, tuple)
        prefix = metadata.get("tokenizer.ggml.add_space_prefix", True) is True
        document = _sentencepiece(tokens, types, scores, prefix, legacy)
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    document["added_tokens"] = [
        {
            "id": token_id, "content": piece, **plain,
            "special": kind in (CONTROL, UNKNOWN), **(flags or {}).get(str(piece), {}),
        }
        for token_id, (piece, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (CONTROL, UNKNOWN, USER_DEFINED)
    ]  # fmt: skip
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for name in ("bos", "eos"):
        token_id = metadata.get(f"tokenizer.ggml.{name}_token_id")
        settings[f"{name}_token"] = tokens[token_id] if isinstance(token_id, int) else None
    settings["add_bos_token"] = metadata.get("tokenizer.ggml.add_bos_token") is True
    if UNKNOWN in types:
        settings["unk_token"] = tokens[types.index(UNKNOWN)]
    template = metadata.get("tokenizer.chat_template")
    if template is not None:
        settings["chat_template"] = template
    target.mkdir(parents=True)
    for name, content in (("tokenizer", document), ("tokenizer_config", settings)):
        text = json.dumps(content, ensure_ascii=False)
        (target / f"{name}.json").write_text(text, encoding="utf-8")
    return target


def sentencepiece_folder(source: Path, target: Path, *, legacy: bool = True) -> Path:
    """Write the vocabulary of the sentencepiece GGUF at `source` as sentencepiece's own file."""
    from transformers.utils import sentencepiece_model_pb2_new as proto

    metadata = read_header(source, _KEYS).metadata
    tokens, types, _, scores = (metadata.get(key) for key in _KEYS)
    assert isinstance(tokens, tuple) and isinstance(types, tuple) and isinstance(scores, tuple)
    model = proto.ModelProto()
    for token, kind, score in zip(tokens, types, scores, strict=True):
        model.pieces.add(piece=token, score=score, type=kind)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.remove_extra_whitespaces = False
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", True) is True
    model.normalizer_spec.add_dummy_prefix = prefix
    target.mkdir(parents=True)
    (target / "tokenizer.model").write_bytes(model.SerializeToString())
    settings = {"add_bos_token": True, "legacy": legacy}
    (target / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return target


def _document(**entries: Any) -> dict[str, Any]:
    empty = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor")
    return {"version": "1.0", **dict.fromkeys(empty), **entries}


def _byte_level(tokens: tuple[Any, ...], merges: tuple[Any, ...], pre: str) -> dict[str, Any]:
    if pre == "smollm":
        split: dict[str, Any] = {"type": "Digits", "individual_digits": True}
        levels = _LEVELS | {"use_regex": True}
    else:
        pattern = _QWEN2 if pre == "qwen2" else _QWEN2.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
        split = {
            "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False
        }  # fmt: skip
        levels = _LEVELS
    return _document(
        normalizer={"type": "NFC"} if pre == "qwen2" else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split, levels]},
        decoder=_LEVELS,
        model={
            "type": "BPE",
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": list(merges),
            "ignore_merges": pre == "llama-bpe",
        },
    )


def _sentencepiece(
    tokens: tuple[Any, ...],
    types: tuple[Any, ...],
    scores: tuple[Any, ...],
    prefix: bool,
    legacy: bool,
) -> dict[str, Any]:
    from transformers.convert_slow_tokenizer import generate_merges

    vocab = {str(token): index for index, token in enumerate(tokens)}
    not_made = [t for t, k in zip(tokens, types, strict=True) if k in (CONTROL, UNKNOWN, BYTE)]
    made = {t: s for t, s in zip(tokens, scores, strict=True) if t not in not_made}
    normalizers = [{"type": "Prepend", "prepend": "▁"}, _SPACE] if prefix else [_SPACE]
    metaspace = {
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False
    }  # fmt: skip
    return _document(
        normalizer={"type": "Sequence", "normalizers": normalizers}
        if legacy or not prefix
        else None,
        pre_tokenizer=None if legacy or not prefix else metaspace,
        decoder={"type": "Sequence", "decoders": [*_UNSPACE, *([_STRIP] if prefix else [])]},
        model={
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": [" ".join(merge) for merge in generate_merges(vocab, made)],
        },
    )
