"""A folder's tokenizer as an object of the `tokenizers` library, without what a chat must not have.

tokenizer.json is read by that library alone. transformers would rebuild some of them by the class
that the folder names, and loses parts of what the file says; it is asked only where a folder has
neither that nor a sentencepiece file, and never runs code of the folder.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel, MissingExtra, ModelError
from glasschat.messages import Message
from glasschat.models.hf.bounded_json import TOKENIZER_BYTES, read_bytes
from glasschat.models.hf.sentencepiece import build, read_pieces
from glasschat.models.hf.tokenizer_config import TokenizerConfig

TOKENIZER = "tokenizer.json"
PIECES = "tokenizer.model"
# Files of which transformers can make a tokenizer.
_CONVERTIBLE = (PIECES, "tekken.json", "vocab.json", "tiktoken.model")
# A message keeps its bytes, so it is not brought into another form of the same characters.
_NORMALIZATION_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_LISTS = ("decoders", "pretokenizers", "normalizers")


def open_fast_tokenizer(path: Path, settings: TokenizerConfig) -> tuple[Any, Mapping[str, str]]:
    """Return a `tokenizers.Tokenizer` for the folder, and the pieces of bos_token and its like.

    It has no truncation, padding or dropout, and what `settings` declare is added. Raises
    InvalidModel when there is no tokenizer or a damaged one, MissingExtra when the library is not
    installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtra(
            "a model folder needs tokenizers, which is not installed ({error}): {advice}",
            error=error,
            advice=Message("pip install 'glasschat[hf]'"),
        ) from None
    data = read_bytes(path / TOKENIZER, TOKENIZER_BYTES)
    named = settings.named
    with translate_errors(
        Message("{tokenizer} of {name} cannot be read", tokenizer=TOKENIZER, name=path.name)
    ):
        if data is None:
            backend, assumed = _from_pieces(path, settings.legacy) or _converted(path)
            named = {**assumed, **named}
        else:
            backend = tokenizers.Tokenizer.from_buffer(data)
        backend.no_truncation()
        backend.no_padding()
        if getattr(backend.model, "dropout", None):
            backend.model.dropout = None
        kept = [
            n
            for n in _leaves(backend.normalizer)
            if component_parts(n)[0]["type"] not in _NORMALIZATION_FORMS
        ]
        backend.normalizer = tokenizers.normalizers.Sequence(kept) if kept else None
        _add(backend, settings, named, tokenizers.AddedToken)
    return backend, named


def _add(
    backend: Any, settings: TokenizerConfig, named: Mapping[str, str], added_token: Any
) -> None:
    """Add the tokens that tokenizer_config.json declares, as transformers does."""
    for token in settings.declared:
        if backend.token_to_id(token.piece) is not None:
            continue
        # The library gives the next free number; any other is not this folder's.
        backend.add_tokens([added_token(token.piece, **token.flags)])
        if backend.token_to_id(token.piece) != token.token_id:
            raise InvalidModel(
                "tokenizer_config.json gives {piece} the number {token_id}, for which "
                "{tokenizer} has no place: {advice}",
                piece=repr(token.piece[:80]),
                token_id=token.token_id,
                tokenizer=TOKENIZER,
                advice=Message("download both again"),
            )
    added = {token.content for token in backend.get_added_tokens_decoder().values()}
    names = {name for name in (*named.values(), *settings.special) if name not in added}
    backend.add_special_tokens(
        [
            added_token(name, special=True, normalized=False)
            for name in sorted(names)
            if backend.token_to_id(name) is not None
        ]
    )


@contextmanager
def translate_errors(what: Message) -> Iterator[None]:
    """Turn whatever the library raises, its panics too, into an InvalidModel of one line."""
    try:
        yield
    except (ModelError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        # A panic of the library's is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        words = " ".join(str(error)[:300].split())
        raise InvalidModel(
            "{what} ({words}): {advice}",
            what=what,
            words=words,
            advice=Message("download the folder again"),
        ) from None


def component_parts(component: Any) -> list[dict[str, Any]]:
    """Return the parts of a normalizer, pre-tokenizer or decoder, in order."""
    if component is None:
        return []
    waiting = [json.loads(component.__getstate__())]
    found: list[dict[str, Any]] = []
    while waiting:
        part = waiting.pop()
        inner = next((part[key] for key in _LISTS if key in part), None)
        if inner is None:
            found.append(part)
        else:
            waiting.extend(reversed(inner))
    return found


def _leaves(normalizer: Any) -> list[Any]:
    """Return the normalizers that a sequence of them consists of."""
    if normalizer is None:
        return []
    if not hasattr(normalizer, "__len__"):
        return [normalizer]
    return [leaf for i in range(len(normalizer)) for leaf in _leaves(normalizer[i])]


def _from_pieces(path: Path, legacy: bool) -> tuple[Any, dict[str, str]] | None:
    """Return the tokenizer of the folder's sentencepiece file; None when there is none."""
    found = read_pieces(read_bytes(path / PIECES, TOKENIZER_BYTES) or b"")
    if found is None:
        return None
    named = {name: found.pieces[token_id][0] for name, token_id in found.named.items()}
    return build(found, legacy=legacy), named


def _converted(path: Path) -> tuple[Any, dict[str, str]]:
    """Return the tokenizer that transformers makes of the folder's other files."""
    there = [name for name in _CONVERTIBLE if (path / name).exists()]
    if not there:
        raise InvalidModel(
            "{name} holds no tokenizer (no {tokenizer} and no tokenizer.model): {advice}",
            name=path.name,
            tokenizer=TOKENIZER,
            advice=Message("download the whole folder"),
        )
    import tokenizers
    from transformers import AutoTokenizer
    from transformers.utils import logging

    loudness = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        made = AutoTokenizer.from_pretrained(
            str(path), trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        words = " ".join(str(error)[:200].split())
        raise InvalidModel(
            "{name} has no {tokenizer}, and transformers cannot make one of {file} ({words}): "
            "{advice}",
            name=path.name,
            tokenizer=TOKENIZER,
            file=there[0],
            words=words,
            advice=Message(
                "add a {tokenizer}, or pip install sentencepiece protobuf tiktoken",
                tokenizer=TOKENIZER,
            ),
        ) from None
    finally:
        logging.set_verbosity(loudness)
    backend = getattr(made, "backend_tokenizer", None)
    if backend is None:
        raise InvalidModel(
            "{name} has no {tokenizer}, and its tokenizer is of a kind of its own ({type}): "
            "{advice}",
            name=path.name,
            tokenizer=TOKENIZER,
            type=type(made).__name__,
            advice=Message("add a {tokenizer}", tokenizer=TOKENIZER),
        )
    if not backend.get_added_tokens_decoder():
        # As in Meta's own file, whose control tokens are in a program.
        raise InvalidModel(
            "{file} of {name} has no control tokens, without which no turn ends: {advice}",
            file=there[0],
            name=path.name,
            advice=Message("add a {tokenizer}", tokenizer=TOKENIZER),
        )
    names = {name: getattr(made, name, None) for name in ("bos_token", "eos_token", "unk_token")}
    return tokenizers.Tokenizer.from_str(backend.to_str()), {
        n: str(p) for n, p in names.items() if p
    }
