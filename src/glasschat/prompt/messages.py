"""Messages of a conversation, before any template is applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from glasschat.errors import InvalidMessage

Role = Literal["system", "user", "assistant"]
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation.

    `ids` belong to an assistant turn that was generated here: they go back to the model as they
    were, without the end token, instead of `text` encoded anew.
    """

    role: Role
    text: str
    ids: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidMessage(f"the role must be one of {', '.join(ROLES)}, not {self.role!r}")
        if self.ids is not None and self.role != "assistant":
            raise InvalidMessage(
                f"only an assistant turn has ids of its own, not a {self.role} turn"
            )
        for position, character in enumerate(self.text):
            if "\ud800" <= character <= "\udfff":
                raise InvalidMessage(
                    f"the {self.role} message holds a lone surrogate, U+{ord(character):04X} at "
                    f"character {position}, which no encoding carries: remove it"
                )


def user(text: str) -> ChatMessage:
    """Return a user turn with `text`."""
    return ChatMessage("user", text)


def conversation(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Return `messages`, checked: not empty, and a system turn only at the start.

    Raises InvalidMessage.
    """
    if not messages:
        raise InvalidMessage("there is no message: give at least one user turn")
    for index, message in enumerate(messages):
        if message.role == "system" and index:
            raise InvalidMessage(f"message {index} is a system turn: it may only come first")
    return tuple(messages)
