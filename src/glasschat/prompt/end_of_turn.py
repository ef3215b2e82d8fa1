"""End of turn: the token that a chat template writes after a turn of the assistant.

Models are published whose files name another end token only (Llama-3's first ones named
end-of-text, and their template writes `<|eot_id|>`); their replies would never end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from glasschat.errors import PromptError
from glasschat.models.base import Tokenizer
from glasschat.prompt.messages import ChatMessage
from glasschat.prompt.template import ChatTemplate

_TURNS = (ChatMessage("user", "Hello"), ChatMessage("assistant", "Hello"))


def find_turn_end(tokenizer: Tokenizer, template: ChatTemplate) -> int | None:
    """Return the control token that `template` writes right after the assistant's content.

    None where it writes text there, such as "### User:", or takes no finished turn.
    """
    # Some templates close the last turn, others only one that is followed by another.
    for messages in (_TURNS, (*_TURNS, ChatMessage("user", "Hello"))):
        try:
            encoding = template.encode(messages, open_reply=len(messages) > 2)
        except PromptError:
            continue
        end = next(span.end for span in encoding.spans if span.message == 1)
        found = _first_control(tokenizer, encoding.ids[end:])
        if found is not None:
            return found
    return None


def with_turn_end(tokenizer: Tokenizer, template: ChatTemplate) -> Tokenizer:
    """Return `tokenizer`, whose replies also end where `template` ends a turn."""
    found = find_turn_end(tokenizer, template)
    if found is None or found in tokenizer.end_ids:
        return tokenizer
    return TurnEndTokenizer(tokenizer, found)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TurnEndTokenizer:
    """A tokenizer with one end token more than its files name."""

    inner: Tokenizer
    turn_end_id: int

    @property
    def vocab_size(self) -> int:
        """Return how many ids there are."""
        return self.inner.vocab_size

    @property
    def bos_id(self) -> int | None:
        """Return the begin-of-text token, if the model has one."""
        return self.inner.bos_id

    @property
    def eos_id(self) -> int | None:
        """Return the end token that the model's files name, if they name one."""
        return self.inner.eos_id

    @property
    def adds_bos(self) -> bool:
        """Return whether begin-of-text goes in front of every prompt."""
        return self.inner.adds_bos

    @property
    def end_ids(self) -> frozenset[int]:
        """Return the end tokens of the files, and the template's."""
        return self.inner.end_ids | {self.turn_end_id}

    @property
    def control_ids(self) -> frozenset[int]:
        """Return the ids that content must never become."""
        return self.inner.control_ids

    @property
    def hidden_ids(self) -> frozenset[int]:
        """Return the ids that have no text in a reply."""
        return self.inner.hidden_ids

    @property
    def template_source(self) -> str | None:
        """Return the model's own chat template, as Jinja text."""
        return self.inner.template_source

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Return the ids of `text`."""
        return self.inner.encode(text, control=control)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that the token stands for."""
        return self.inner.token_bytes(token_id)


def _first_control(tokenizer: Tokenizer, ids: Sequence[int]) -> int | None:
    """Return the first of `ids` that is no blank, if it is hidden and is not begin-of-text."""
    for token_id in ids:
        if token_id in tokenizer.hidden_ids:
            return token_id if token_id != tokenizer.bos_id else None
        if tokenizer.token_bytes(token_id).strip():
            return None
    return None
