"""What a conversation's tree is made of: user turns, replies, and the runs that wrote a reply."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import token_hex
from typing import Literal, get_args

from glasschat.engine import FinishReason, Timings, Usage
from glasschat.errors import InvalidMessage
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams

TurnRole = Literal["user", "assistant"]
TURN_ROLES: tuple[str, ...] = get_args(TurnRole)
LONGEST_ID = 64


class Ending(StrEnum):
    """Why a run ended: the engine's reasons, and `interrupted`, found out after a crash."""

    STOP = FinishReason.STOP.value
    LENGTH = FinishReason.LENGTH.value
    CANCELLED = FinishReason.CANCELLED.value
    ERROR = FinishReason.ERROR.value
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Origin:
    """What wrote a reply: the model's name, fingerprints of model and template, versions by name.

    Empty where it is not known.
    """

    model: str = ""
    model_fingerprint: str = ""
    template_fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One stretch of generation: a reply has one, and one more each time that it was continued.

    `first_token` is how many ids the reply had before. `created` is in milliseconds since 1970,
    UTC. `ending` is None while the run is being written.
    """

    params: SamplingParams
    origin: Origin = field(default_factory=Origin)
    first_token: int = 0
    created: int = 0
    ending: Ending | None = None
    error: str | None = None
    seed: int | None = None
    usage: Usage = field(default_factory=lambda: Usage(0, 0, 0))
    timings: Timings = field(default_factory=lambda: Timings(None, None, None))


@dataclass(frozen=True, slots=True)
class Node:
    """One turn of the tree.

    `id` is unique within its conversation; `parent` is None for a first turn. `ids` are those of
    a reply that was generated here, without the end token, None where the text alone goes back to
    the model. `runs` is empty for user turns and for replies that came from elsewhere. `created`
    is in milliseconds since 1970, UTC. `deleted` hides the turn and what is below it.

    Raises InvalidMessage for a role, an id or a text that no turn can have.
    """

    id: str
    parent: str | None
    role: TurnRole
    text: str
    ids: tuple[int, ...] | None = None
    created: int = 0
    runs: tuple[Run, ...] = ()
    deleted: bool = False

    def __post_init__(self) -> None:
        if self.role not in TURN_ROLES:
            raise InvalidMessage(
                "a turn's role is user or assistant, not {role}", role=repr(self.role)
            )
        if not 0 < len(self.id) <= LONGEST_ID or not self.id.isascii() or not self.id.isprintable():
            raise InvalidMessage(
                "a turn's id is 1 to {longest_id} ASCII characters, not {id}",
                longest_id=LONGEST_ID,
                id=repr(self.id[:80]),
            )
        if self.runs and self.role == "user":
            raise InvalidMessage("only a reply has runs, not a user turn")
        self.message()

    @property
    def in_progress(self) -> bool:
        """Whether the last run is still being written."""
        return bool(self.runs) and self.runs[-1].ending is None

    @property
    def cut(self) -> bool:
        """Whether the reply ended before its model ended it, so that it can go on."""
        return bool(self.runs) and self.runs[-1].ending not in (None, Ending.STOP)

    def message(self) -> ChatMessage:
        """Return the turn as the prompt has it. Raises InvalidMessage."""
        return ChatMessage(self.role, self.text, self.ids)


def new_id() -> str:
    """Return an id that no other turn of the conversation has."""
    return token_hex(8)


def now_ms() -> int:
    """Return the time now, in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
