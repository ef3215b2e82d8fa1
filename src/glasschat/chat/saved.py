"""A whole conversation as it is kept and exchanged, apart from who it belongs to."""

from dataclasses import dataclass, field
from secrets import token_urlsafe

from glasschat.chat.tree import Tree
from glasschat.prompt import ContextPolicy
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """A conversation with all that belongs to it. Times are milliseconds since 1970, UTC.

    `params` is None where nothing was set.
    """

    id: str = field(default_factory=lambda: token_urlsafe(16))
    title: str = ""
    pinned: bool = False
    created: int = 0
    updated: int = 0
    system: str = ""
    params: SamplingParams | None = None
    tree: Tree = field(default_factory=Tree)


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A line of the list of conversations.

    `revision` grows with every change, so that a page can tell whether it shows the newest.
    `deleted` is when it was deleted, None for one that was not.
    """

    id: str
    title: str
    pinned: bool
    created: int
    updated: int
    deleted: int | None
    revision: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Sampling, the system prompt, and what becomes of a full context and of an unwatched reply.

    Frozen: a reply is made with what was set when it was asked for. `policy` decides about a
    conversation that the context does not hold. With `stop_unwatched` a reply is stopped a few
    seconds after its last page was closed; else it goes on and is found later.
    """

    params: SamplingParams
    system: str = ""
    stop_unwatched: bool = False
    policy: ContextPolicy = ContextPolicy.REFUSE
