"""Small GGUF files: a vocabulary and a chat template, no weights unless they are asked for.

The byte-level ones carry SmolLM2's real vocabulary with its seventeen control tokens rewritten
to those of another family. The sentencepiece ones carry a vocabulary made here: all bytes, ASCII,
and some words that are joined letter by letter, with and without the space before them.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from glasschat.models.gguf.header import read_header

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
RESERVED = 17
_WIDTH = 32
_VOCABULARY = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges")
_WORDS = """
Hello hello world the user model assistant system INST SYS Paris is capital of France im start end
turn eot id think header begin text a good day Yes No
"""

# SmolLM2 has no token for six control bytes, nor for those of U+40000 to U+BFFFF, where there are
# no characters. This is for hypothesis.
SMOLLM_CHARACTERS: dict[str, Any] = {
    "exclude_categories": ["Cs"],
    "exclude_characters": "\x04\x06\x13\x14\x16\x1d",
    "max_codepoint": 0x3FFFF,
}

Special = Mapping[str, int]


def byte_level(
    target: Path,
    source: Path,
    special: Special,
    template: str | None,
    *,
    pre: str = "smollm",
    bos: str | None = None,
    eos: str | None = None,
    adds_bos: bool = False,
) -> Path:
    """SmolLM2's vocabulary, from `source`, with `special` (piece: type) in place of its own."""
    metadata = read_header(source, _VOCABULARY).metadata
    found: list[Any] = [metadata[key] for key in _VOCABULARY]
    tokens, types, merges = ([*array] for array in found)
    assert len(special) <= RESERVED
    for index in range(RESERVED):
        tokens[index], types[index] = f"<|reserved_{index}|>", CONTROL
    for index, (piece, kind) in enumerate(special.items()):
        tokens[index], types[index] = piece, kind
    return _write(target, "gpt2", pre, tokens, types, template, bos, eos, adds_bos, merges=merges)


def with_a_token_twice(target: Path, source: Path) -> Path:
    """A vocabulary over which llama.cpp ends its process."""
    file = byte_level(target, source, {"<|im_start|>": CONTROL, "<|im_end|>": CONTROL}, "{{ x }}")
    data = file.read_bytes()
    eight, nine = (struct.pack("<Q", 14) + b"<|reserved_%d|>" % number for number in (8, 9))
    assert nine in data
    file.write_bytes(data.replace(nine, eight, 1))
    return file


def from_tokenizer_json(
    target: Path,
    document: Mapping[str, Any],
    template: str | None,
    *,
    pre: str,
    bos: str,
    eos: str,
    adds_bos: bool = True,
) -> Path:
    """The byte-level vocabulary of a tokenizer.json, whole."""
    vocab = dict(document["model"]["vocab"])
    added = {token["content"]: token["id"] for token in document["added_tokens"]}
    tokens = sorted(vocab | added, key=(vocab | added).__getitem__)
    types = [CONTROL if token in added else NORMAL for token in tokens]
    merges = [" ".join(merge) for merge in document["model"]["merges"]]
    return _write(target, "gpt2", pre, tokens, types, template, bos, eos, adds_bos, merges=merges)


def sentencepiece(
    target: Path,
    special: Special,
    template: str | None,
    *,
    bos: str = "<s>",
    eos: str = "</s>",
    adds_bos: bool = True,
    space_prefix: bool = True,
    with_bytes: bool = True,
    weights: bool = False,
) -> Path:
    """A small vocabulary of the kind of Llama 2, with `special` (piece: type) after `<unk>`.

    With `weights` it is a whole model, whose one layer has random ones.
    """
    pieces: dict[str, tuple[int, float]] = {"<unk>": (UNKNOWN, 0.0)}
    pieces |= {piece: (kind, 0.0) for piece, kind in special.items()}
    if with_bytes:
        pieces |= {f"<0x{byte:02X}>": (BYTE, 0.0) for byte in range(256)}
    for character in ["▁", *map(chr, range(33, 127)), *"äöüéßπЖ中文日本"]:
        pieces.setdefault(character, (NORMAL, -1000.0))
    for rank, word in enumerate(["▁▁", *_WORDS.split(), *("▁" + w for w in _WORDS.split())]):
        for length in range(2, len(word) + 1):
            pieces.setdefault(word[:length], (NORMAL, -float(rank) - length / 100))
    tokens = list(pieces)
    types = [kind for kind, _ in pieces.values()]
    scores = [score for _, score in pieces.values()]
    return _write(
        target, "llama", "default", tokens, types, template, bos, eos, adds_bos,
        scores=scores, space_prefix=space_prefix, weights=weights,
    )  # fmt: skip


def _write(
    target: Path,
    model: str,
    pre: str,
    tokens: Sequence[str],
    types: Sequence[int],
    template: str | None,
    bos: str | None,
    eos: str | None,
    adds_bos: bool,
    *,
    merges: Sequence[Any] | None = None,
    scores: Sequence[float] | None = None,
    space_prefix: bool | None = None,
    weights: bool = False,
) -> Path:
    writer = gguf.GGUFWriter(str(target), "llama")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_WIDTH)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_add_bos_token(adds_bos)
    if merges is not None:
        writer.add_token_merges(merges)
    if scores is not None:
        writer.add_token_scores(scores)
    if space_prefix is not None:
        writer.add_add_space_prefix(space_prefix)
    if bos is not None:
        writer.add_bos_token_id(tokens.index(bos))
    if eos is not None:
        writer.add_eos_token_id(tokens.index(eos))
    if template is not None:
        writer.add_chat_template(template)
    if weights:
        for name, shape in _shapes(len(tokens)).items():
            random = np.random.default_rng(len(name)).normal(0, 0.1, shape)
            writer.add_tensor(name, random.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    block = {
        **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (_WIDTH, _WIDTH)),
        **dict.fromkeys(("ffn_gate", "ffn_up", "ffn_down"), (_WIDTH, _WIDTH)),
        **dict.fromkeys(("attn_norm", "ffn_norm"), (_WIDTH,)),
    }
    return {
        "token_embd.weight": (vocabulary, _WIDTH),
        "output_norm.weight": (_WIDTH,),
        "output.weight": (vocabulary, _WIDTH),
        **{f"blk.0.{name}.weight": shape for name, shape in block.items()},
    }
