"""Tokenizer settings of a model folder: its JSON files beside the vocabulary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf import config_json
from glasschat.models.hf.bounded_json import read_bytes, read_object

TOKENIZER_CONFIG = "tokenizer_config.json"
TEMPLATE_FILE = "chat_template.jinja"
TEMPLATE_BYTES = 1 << 20
_NAMED = ("bos_token", "eos_token", "unk_token")
_LISTS = ("additional_special_tokens", "extra_special_tokens")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_MOST_DECLARED = 100_000


@dataclass(frozen=True, slots=True)
class DeclaredToken:
    """A token that tokenizer_config.json adds to the vocabulary, with its flags."""

    token_id: int
    piece: str
    flags: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """Settings of a folder's tokenizer.

    `named` has the pieces of bos_token, eos_token and unk_token; `special` are more pieces that are
    special by name. `adds_bos` is None where nothing is said; `legacy` is about blanks after
    control tokens, in a sentencepiece file. `bos_id` and `end_ids` are what the files say in
    numbers, with the name of the file. `vocab_size` is config.json's, or 0.
    """

    named: Mapping[str, str]
    special: tuple[str, ...]
    declared: tuple[DeclaredToken, ...]
    adds_bos: bool | None
    legacy: bool
    bos_id: int | None
    end_ids: tuple[tuple[str, int], ...]
    vocab_size: int
    template: str | None
    template_origin: str | None


def read_tokenizer_config(path: Path) -> TokenizerConfig:
    """Read the settings from the folder at `path`; a missing file states nothing.

    Raises InvalidModel for what is damaged, or asks for code of its own.
    """
    found = {
        name: read_object(path / name)
        for name in (TOKENIZER_CONFIG, "special_tokens_map.json", "generation_config.json")
    }
    for name, document in found.items():
        config_json.check_no_code(document or {}, name)
    tokenizer, legacy, generation = (document or {} for document in found.values())
    config = read_object(path / "config.json") or {}
    template, origin = _template(path, tokenizer)
    adds_bos = tokenizer.get("add_bos_token")
    nameless = found[TOKENIZER_CONFIG] is None and not legacy
    part = config_json.text_config(config)
    begins = _ids(generation.get("bos_token_id"), config.get("bos_token_id"))
    return TokenizerConfig(
        named={
            name: piece
            for name in _NAMED
            if (piece := _piece(tokenizer[name] if name in tokenizer else legacy.get(name)))
        },
        special=tuple(_special(tokenizer)),
        declared=tuple(_declared(tokenizer)),
        adds_bos=adds_bos if isinstance(adds_bos, bool) else None,
        legacy=tokenizer.get("legacy") is not False,
        bos_id=next(begins, None) if nameless else None,
        end_ids=(
            *(("generation_config.json", i) for i in _ids(generation.get("eos_token_id"))),
            *(
                ("config.json", i)
                for i in _ids(config.get("eos_token_id", part.get("eos_token_id")))
            ),
        ),
        vocab_size=config_json.number(config, "vocab"),
        template=template,
        template_origin=origin,
    )


def _template(path: Path, tokenizer: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the chat template and the file it is from; a file of its own goes before an entry."""
    data = read_bytes(path / TEMPLATE_FILE, TEMPLATE_BYTES)
    if data is not None:
        try:
            return data.decode("utf-8"), TEMPLATE_FILE
        except UnicodeDecodeError:
            raise InvalidModel(
                "{template_file} is not text in UTF-8: {advice}",
                template_file=TEMPLATE_FILE,
                advice=Message("download or copy it again"),
            ) from None
    entry = tokenizer.get("chat_template")
    if isinstance(entry, list):
        named = {e.get("name"): e.get("template") for e in entry if isinstance(e, dict)}
        default = named.get("default")
        return (default, f"{TOKENIZER_CONFIG} (default)") if _is_text(default) else (None, None)
    if _is_text(entry):
        return entry, TOKENIZER_CONFIG
    # Where the model also sees, its processor may have the template.
    processor = (read_object(path / "chat_template.json") or {}).get("chat_template")
    return (processor, "chat_template.json") if _is_text(processor) else (None, None)


def _is_text(value: Any) -> bool:
    """Return whether `value` is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def _piece(value: Any) -> str | None:
    """Return the piece of a token that is written plainly or with its flags."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) and content else None


def _special(tokenizer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the pieces that tokenizer_config.json lists as special."""
    for key in _LISTS:
        value = tokenizer.get(key)
        values = [*value.values()] if isinstance(value, dict) else value
        for entry in values if isinstance(values, list) else ():
            piece = _piece(entry)
            if piece:
                yield piece


def _declared(tokenizer: Mapping[str, Any]) -> Iterator[DeclaredToken]:
    """Yield the tokens of added_tokens_decoder, by their ids."""
    table = tokenizer.get("added_tokens_decoder")
    if not isinstance(table, dict) or len(table) > _MOST_DECLARED:
        return
    numbered = [(int(key), entry) for key, entry in table.items() if key.isdecimal()]
    for token_id, entry in sorted(numbered, key=lambda pair: pair[0]):
        piece = _piece(entry)
        if piece and isinstance(entry, dict):
            flags = {flag: entry.get(flag) is True for flag in _FLAGS}
            yield DeclaredToken(token_id, piece, flags)


def _ids(*values: Any) -> Iterator[int]:
    """Yield the token ids among `values`, each a number or a list of numbers."""
    for value in values:
        for token_id in value if isinstance(value, list) else [value]:
            if type(token_id) is int and token_id >= 0:
                yield token_id
