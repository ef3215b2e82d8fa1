"""Every error that a user can meet, in one tree.

    GlasschatError
    ├── ParameterError        a setting out of its range (also a ValueError)
    ├── StageNotHere          a reply asks for a stage of somebody's own that is not here
    ├── InvalidStage          what --stage names cannot be a stage
    ├── ModelError
    │   ├── ModelNotFound     nothing at that path, or no model in that folder
    │   ├── InvalidModel      cut off, damaged, or of a kind that cannot be served
    │   ├── NotEnoughMemory   weights and cache need more than there is
    │   └── ContextTooLong    more context asked for than the model was made for
    ├── PromptError
    │   ├── InvalidMessage    a text that cannot be encoded, an unknown role
    │   ├── TemplateError     the model's chat template failed, looped or did what it may not
    │   └── PromptTooLong     more prompt than the context holds
    ├── EngineError
    │   ├── QueueFull         too many requests are waiting already
    │   ├── EngineStopped     the engine has been closed, or has failed
    │   ├── ReplyFailed       this reply went wrong; others go on
    │   └── RemoteError       the server that writes the replies
    │       ├── RemoteUnreachable   cannot be reached, or has broken off
    │       └── RemoteRefused       does not do what was asked of it
    ├── StoreError            conversations cannot be kept; the chat itself goes on
    │   ├── StoreUnavailable  the database cannot be opened or reached, or is locked too long
    │   ├── StoreFull         no room on the disk
    │   ├── StoreReadOnly     the file or the database may not be written
    │   ├── StoreDamaged      no database, another program's, or one with damaged pages
    │   ├── StoreTooNew       a newer glasschat wrote it
    │   ├── StoreConflict     somebody else has changed the same turn meanwhile
    │   └── ConversationNotFound  no such conversation, or somebody else's
    ├── InvalidImport         a file that holds no conversations that can be read
    ├── MissingExtra          a library that is wanted for this is not installed
    └── ServerError           the port is taken, the address is refused

Each message is one line that names the thing, the limit and the way out. It is given as a template
and its values (`messages.py`), so that a page can say it in the visitor's language:

    raise QueueFull("{waiting:,} requests are waiting: try again in a moment", waiting=9)
"""

import copyreg
from typing import Any

from glasschat.messages import Message


class GlasschatError(Exception):
    """The root: catch this to catch every error that glasschat raises on purpose.

    `str(error)` is the line, `message` the same line with its template and values. A text without
    values, such as a line that came from elsewhere, is its own template.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        self.message = Message(template, **values)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by __init__, which takes something else in some of the classes.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ParameterError(GlasschatError, ValueError):
    """A setting has a value out of its range."""

    def __init__(self, name: str, allowed: str, value: object) -> None:
        allowed = Message(allowed)
        super().__init__(
            Message(
                "{name} must be {allowed}, and {value} is not",
                name=name,
                allowed=allowed,
                value=repr(value),
            )
        )
        self.name = name
        self.allowed = allowed
        self.value = value


class StageNotHere(GlasschatError):
    """A reply asks for a stage that did not come with glasschat, and that was not given to it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            Message(
                "the stage {name} is not here: turn it off, or start glasschat with --stage for it",
                name=name,
            )
        )
        self.name = name


class InvalidStage(GlasschatError):
    """What was named as a stage of one's own is not there, or cannot be one."""


class ModelError(GlasschatError):
    """The model cannot be served."""


class ModelNotFound(ModelError):
    """There is nothing at that path, or no model in that folder."""


class InvalidModel(ModelError):
    """File or folder is cut off or damaged, or of a kind that cannot be served."""


class MissingExtra(GlasschatError):
    """A library that is wanted for this, and for this alone, is not installed."""


class NotEnoughMemory(ModelError):
    """Weights and cache need more memory than there is."""


class ContextTooLong(ModelError):
    """More context was asked for than the model was made for."""


class PromptError(GlasschatError):
    """The messages cannot become a prompt."""


class InvalidMessage(PromptError):
    """A message has a text that cannot be encoded, or a role that no template knows."""


class TemplateError(PromptError):
    """The model's chat template failed, did not come to an end, or did what it may not."""


class PromptTooLong(PromptError):
    """The prompt leaves no room for a reply.

    `needed`, `limit` and `context` are in tokens; `limit` is the max length, or the context
    where that is less.
    """

    def __init__(self, needed: int, limit: int, context: int | None = None) -> None:
        more: Message | str = ""
        if needed < (context or 0):
            more = Message(", or raise max length, to {context:,} at most", context=context)
        super().__init__(
            Message(
                "the prompt is {needed:,} tokens and at most {fitting:,} fit ({bound} {limit:,}, "
                "one kept for the reply): shorten it by {excess:,} tokens{more}",
                needed=needed,
                fitting=limit - 1,
                bound=Message("context") if limit == context else Message("max length"),
                limit=limit,
                excess=needed - limit + 1,
                more=more,
            )
        )
        self.needed = needed
        self.limit = limit
        self.context = context


class EngineError(GlasschatError):
    """The engine cannot take or finish a request."""


class QueueFull(EngineError):
    """Too many requests are waiting already; nothing was queued."""


class EngineStopped(EngineError):
    """The engine has been closed, or has failed."""


class ReplyFailed(EngineError):
    """This reply went wrong; others go on."""


class RemoteError(EngineError):
    """Another server writes the replies, and there is something wrong with it."""


class RemoteUnreachable(RemoteError):
    """That server cannot be reached, or has broken off."""


class RemoteRefused(RemoteError):
    """That server does not do what was asked of it."""


class StoreError(GlasschatError):
    """Conversations cannot be kept; the chat itself goes on."""


class StoreUnavailable(StoreError):
    """The database cannot be opened or reached, or was locked for too long."""


class StoreFull(StoreError):
    """There is no room left for the database to grow."""


class StoreReadOnly(StoreError):
    """The file or the database may be read, not written."""


class StoreDamaged(StoreError):
    """It is no database, or another program's, or its pages are damaged."""


class StoreTooNew(StoreError):
    """A newer glasschat has written it, in a schema that this one does not know."""


class StoreConflict(StoreError):
    """Somebody else, in another page or process, has changed the same turn meanwhile."""


class ConversationNotFound(StoreError):
    """There is no such conversation, or it is somebody else's."""


class InvalidImport(GlasschatError):
    """A file holds no conversations that can be read."""


class ServerError(GlasschatError):
    """The server cannot listen where it was asked to."""
