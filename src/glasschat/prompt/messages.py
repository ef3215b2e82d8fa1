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
            raise InvalidMessage(
                "the role must be one of {roles}, not {role}",
                roles=", ".join(ROLES),
                role=repr(self.role),
            )
        if self.ids is not None and self.role != "assistant":
            raise InvalidMessage(
                "only an assistant turn has ids of its own, not a {role} turn", role=self.role
            )
        for position, character in enumerate(self.text):
            if "\ud800" <= character <= "\udfff":
                raise InvalidMessage(
                    "the {role} message holds a lone surrogate, U+{code:04X} at character "
                    "{position}, which no encoding carries: remove it",
                    role=self.role,
                    code=ord(character),
                    position=position,
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
            raise InvalidMessage(
                "message {index} is a system turn: it may only come first", index=index
            )
    return tuple(messages)
