"""What the checks look at."""

import re
from dataclasses import dataclass

from glasschat.doctor.facts import Claim, Facts
from glasschat.doctor.words import quoted
from glasschat.models.base import Tokenizer
from glasschat.prompt import ChatTemplate

_STRUCTURAL = re.compile(r"<[^\s<>][^<>]{0,80}>|\[[^\s\[\]]{1,40}\]")


@dataclass(frozen=True, slots=True)
class Case:
    """A model whose vocabulary could be opened. `template` is None where it has none that works."""

    facts: Facts
    tokenizer: Tokenizer
    template: ChatTemplate | None = None

    def piece(self, token_id: int) -> str:
        """The token as it is written, in quotes."""
        if not 0 <= token_id < self.tokenizer.vocab_size:
            return "that does not exist"
        return quoted(self.tokenizer.token_bytes(token_id).decode(errors="replace"))

    def token(self, token_id: int) -> str:
        """The token's number and how it is written."""
        return f"{token_id} {self.piece(token_id)}"

    def structural(self, token_id: int) -> bool:
        """Whether the token is spelled as structure is, and no word that a reply could hold."""
        piece = self.tokenizer.token_bytes(token_id).decode(errors="replace")
        return _STRUCTURAL.fullmatch(piece) is not None

    @property
    def begins(self) -> tuple[Claim, ...]:
        """Who names begin-of-text, by number or as it is written."""
        return (*self.facts.begins, *self._written(self.facts.begin_pieces))

    @property
    def ends(self) -> tuple[Claim, ...]:
        """Who names a token that ends a reply, by number or as it is written."""
        return (*self.facts.ends, *self._written(self.facts.end_pieces))

    def single(self, piece: str) -> int | None:
        """The id of the token that is written as `piece`, if there is one."""
        ids = self.tokenizer.encode(piece, control=True)
        return ids[0] if len(ids) == 1 else None

    def _written(self, pieces: tuple[tuple[str, str], ...]) -> list[Claim]:
        found = [(source, self.single(piece)) for source, piece in pieces]
        return [Claim(source, token_id) for source, token_id in found if token_id is not None]

    def change(self, option: str, folder: str) -> str:
        """How to change what the model says of itself: `gguf-new-metadata`, or a file's key."""
        if self.facts.kind == "GGUF":
            return f"gguf-new-metadata {option} OLD.gguf NEW.gguf (pip install gguf)"
        return folder
