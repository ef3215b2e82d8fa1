"""The model that checks look at, with its vocabulary open."""

import re
from dataclasses import dataclass

from glasschat.doctor.formatting import quote
from glasschat.doctor.metadata import Claim, ModelMetadata
from glasschat.models.base import Tokenizer
from glasschat.prompt import ChatTemplate

_STRUCTURAL = re.compile(r"<[^\s<>][^<>]{0,80}>|\[[^\s\[\]]{1,40}\]")


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model whose vocabulary could be opened. `template` is None if it has none that works."""

    metadata: ModelMetadata
    tokenizer: Tokenizer
    template: ChatTemplate | None = None

    def piece(self, token_id: int) -> str:
        """Return the text of a token in quotes."""
        if not 0 <= token_id < self.tokenizer.vocab_size:
            return "that does not exist"
        return quote(self.tokenizer.token_bytes(token_id).decode(errors="replace"))

    def token(self, token_id: int) -> str:
        """Return the id of a token and its text."""
        return f"{token_id} {self.piece(token_id)}"

    def looks_structural(self, token_id: int) -> bool:
        """Return whether a token is spelled like a control token and not like a word."""
        piece = self.tokenizer.token_bytes(token_id).decode(errors="replace")
        return _STRUCTURAL.fullmatch(piece) is not None

    @property
    def begin_claims(self) -> tuple[Claim, ...]:
        """Return the sources that name begin-of-text, by id or by text."""
        return (*self.metadata.begin_claims, *self._written(self.metadata.begin_texts))

    @property
    def end_claims(self) -> tuple[Claim, ...]:
        """Return the sources that name a token that ends a reply, by id or by text."""
        return (*self.metadata.end_claims, *self._written(self.metadata.end_texts))

    def find_token(self, piece: str) -> int | None:
        """Return the id of the token whose text is `piece`, None if there is no such token."""
        ids = self.tokenizer.encode(piece, control=True)
        return ids[0] if len(ids) == 1 else None

    def _written(self, pieces: tuple[tuple[str, str], ...]) -> list[Claim]:
        found = [(source, self.find_token(piece)) for source, piece in pieces]
        return [Claim(source, token_id) for source, token_id in found if token_id is not None]

    def how_to_change(self, option: str, folder: str) -> str:
        """Return how to change the metadata: a `gguf-new-metadata` command, or a file's key."""
        if self.metadata.kind == "GGUF":
            return f"gguf-new-metadata {option} OLD.gguf NEW.gguf (pip install gguf)"
        return folder
