"""Tokenizer of a model folder in Hugging Face format."""

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf.fast_tokenizer import open_fast_tokenizer, translate_errors
from glasschat.models.hf.tokenizer_config import (
    TOKENIZER_CONFIG,
    TokenizerConfig,
    read_tokenizer_config,
)
from glasschat.models.hf.vocab import SPACE_MARK, HfVocab

# Put in front of a text that must get no space there; see LlamaTokenizer.
_SENTINELS = ("\U000f0000", "\n")


class HfTokenizer:
    """Implements Tokenizer for the folder at `path`. Runs no code of the folder.

    A text is encoded as the bytes that it is: where tokenizer.json asks for a normalization form
    (Qwen's for NFC), a text that is not in it keeps its own, as llama.cpp does it.

    Opening takes about a second for 128,256 tokens. Raises InvalidModel when the folder has no
    tokenizer, or one that is damaged or another model's.
    """

    def __init__(self, path: Path | str, *, vocab_size: int | None = None) -> None:
        """`vocab_size` is the length of a row of logits; by default what config.json says."""
        path = Path(path)
        settings = read_tokenizer_config(path)
        self._backend, named = open_fast_tokenizer(path, settings)
        self._vocab = HfVocab(self._backend, vocab_size or settings.vocab_size)
        self._template_source = settings.template
        self._template_origin = settings.template_origin
        self._bos_id = self._id_of(named.get("bos_token"))
        if self._bos_id is None and settings.bos_id is not None:
            self._bos_id = settings.bos_id if settings.bos_id < self.vocab_size else None
        self._eos_id = self._id_of(named.get("eos_token"))
        self._adds_bos, self._adds_bos_origin = self._find_adds_bos(settings)
        self._end_sources = self._find_ends(settings)
        unknown = named.get("unk_token") or getattr(self._backend.model, "unk_token", None)
        also = {self._bos_id, self._id_of(unknown), *self._end_sources} - {None}
        self._hidden_ids = self._vocab.hidden_ids(i for i in also if i is not None)
        self._control_ids = self._hidden_ids | self._vocab.visible_structure()
        self._lock = threading.Lock()
        self._disarm()
        self._blanks = self._vocab.blanks()
        longest_first = sorted(self._blanks, key=len, reverse=True)
        self._blank_pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        bytes_of = self._vocab.byte_ids()
        self._space_mark = [bytes_of[byte] for byte in SPACE_MARK.encode() if byte in bytes_of]
        self._sentinels = self._find_sentinels()

    @property
    def vocab_size(self) -> int:
        """Return how many ids there are: as many as a row of logits is long."""
        return self._vocab.size

    @property
    def bos_id(self) -> int | None:
        """Return the begin-of-text token, if the folder names one."""
        return self._bos_id

    @property
    def eos_id(self) -> int | None:
        """Return the end token that tokenizer_config.json names, if it names one."""
        return self._eos_id

    @property
    def adds_bos(self) -> bool:
        """Return whether begin-of-text goes in front of every text, as the files say."""
        return self._adds_bos

    @property
    def adds_bos_origin(self) -> str:
        """Return the file that states `adds_bos`."""
        return self._adds_bos_origin

    @property
    def end_ids(self) -> frozenset[int]:
        """Return the tokens that end a reply, by any of the folder's files.

        The template's own end of a turn is not among them: `glasschat.prompt.end_of_turn` finds it.
        """
        return frozenset(self._end_sources)

    @property
    def end_sources(self) -> Mapping[int, tuple[str, ...]]:
        """Return the files that name each of `end_ids`."""
        return self._end_sources

    @property
    def control_ids(self) -> frozenset[int]:
        """Return special tokens, begin and end tokens, visible added ones, and padding."""
        return self._control_ids

    @property
    def hidden_ids(self) -> frozenset[int]:
        """Return special tokens, begin and end tokens, and padding."""
        return self._hidden_ids

    @property
    def template_source(self) -> str | None:
        """Return the folder's chat template; None for a base model."""
        return self._template_source

    @property
    def template_origin(self) -> str | None:
        """Return the file that the template is from."""
        return self._template_origin

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Return the ids of `text`, with nothing put in front of it.

        With `control`, as transformers does it for what comes after other text: a vocabulary that
        wants a space after a control token gets it.
        """
        if control:
            ids = self._encode_plain(text, control=True)
            if ids and max(ids) >= self.vocab_size:
                piece = self._backend.id_to_token(max(ids))
                raise InvalidModel(
                    "the chat template writes {piece}, for which the model has no embedding: "
                    "{advice}",
                    piece=repr(piece),
                    advice=Message("use another version of the model"),
                )
            return ids
        ids = []
        end = 0
        for match in self._blank_pattern.finditer(text):
            ids += self._encode_words(text[end : match.start()])
            ids.append(self._blanks[match.group()])
            end = match.end()
        return ids + self._encode_words(text[end:] if end else text)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; for an added token, its piece as written."""
        return self._vocab.token_bytes(token_id)

    def _id_of(self, piece: str | None) -> int | None:
        """Return the id of a piece, if the model has an embedding for it."""
        token_id = self._backend.token_to_id(piece) if piece else None
        return token_id if token_id is not None and token_id < self.vocab_size else None

    def _find_adds_bos(self, settings: TokenizerConfig) -> tuple[bool, str]:
        """Return whether begin-of-text is added, and the file that says so."""
        if settings.adds_bos is not None:
            adds, origin = settings.adds_bos, TOKENIZER_CONFIG
        else:
            with translate_errors(Message("the tokenizer fails")):
                adds, origin = self._bos_id in self._backend.encode("").ids, "tokenizer.json"
        return adds and self._bos_id is not None, origin

    def _find_ends(self, settings: TokenizerConfig) -> dict[int, tuple[str, ...]]:
        """Return the end tokens with the files that name them."""
        found: dict[int, tuple[str, ...]] = {}
        files = {name for name, _ in settings.end_ids}
        for name, token_id in settings.end_ids:
            # A config.json that was copied along may mean another vocabulary, in which the
            # number is an ordinary word; transformers does not look at it here either.
            stale = name == "config.json" and "generation_config.json" in files
            if token_id < self.vocab_size and (not stale or token_id in self._vocab.added):
                found[token_id] = (*found.get(token_id, ()), name)
        if self._eos_id is not None:
            found[self._eos_id] = (*found.get(self._eos_id, ()), TOKENIZER_CONFIG)
        return found

    def _disarm(self) -> None:
        """Mark every added token as special, so that encoding content can switch it off."""
        import tokenizers

        self._backend.add_special_tokens(
            [
                tokenizers.AddedToken(
                    token.content,
                    single_word=token.single_word,
                    lstrip=token.lstrip,
                    rstrip=token.rstrip,
                    normalized=token.normalized,
                    special=True,
                )
                for token in self._backend.get_added_tokens_decoder().values()
                if not token.special
            ]
        )

    def _find_sentinels(self) -> list[tuple[str, list[int]]]:
        """Return texts to put in front, if this vocabulary puts a space in front of any text."""
        if self._joined(self._tokenize("\n", control=False)) == b"\n":
            return []
        written = [(text, self._tokenize(text, control=False)) for text in _SENTINELS]
        return [(text, ids) for text, ids in written if self._joined(ids) == b" " + text.encode()]

    def _joined(self, ids: list[int]) -> bytes:
        """Return the bytes of `ids`, joined."""
        return b"".join(map(self.token_bytes, ids))

    def _encode_words(self, text: str) -> list[int]:
        """Return the ids of text without control tokens; a space mark stands for itself."""
        if not (self._space_mark and SPACE_MARK in text):
            return self._encode_plain(text, control=False)
        ids: list[int] = []
        for place, part in enumerate(text.split(SPACE_MARK)):
            ids += self._space_mark if place else []
            ids += self._encode_plain(part, control=False)
        return ids

    def _encode_plain(self, text: str, *, control: bool) -> list[int]:
        """Return the ids of `text` without the space that the vocabulary puts in front."""
        if not text:
            return []
        for sentinel, sentinel_ids in self._sentinels:
            ids = self._tokenize(sentinel + text, control=control)
            # Unless the vocabulary has joined the two, what follows is the text alone.
            if ids[: len(sentinel_ids)] == sentinel_ids:
                return ids[len(sentinel_ids) :]
        return self._tokenize(text, control=control)

    def _tokenize(self, text: str, *, control: bool) -> list[int]:
        """Call the library, with control tokens switched on or off."""
        # The switch is the object's. A batch of one: only for batches does the library let other
        # threads run meanwhile, and a megabyte takes half a second.
        with self._lock, translate_errors(Message("the tokenizer fails on this text")):
            self._backend.encode_special_tokens = not control
            found: Any = self._backend.encode_batch_fast([text], add_special_tokens=False)
            return list(found[0].ids)
