"""What a conversation takes of a model's context."""

from dataclasses import dataclass

from glasschat.backends import Backend
from glasschat.chat.reply_start import messages_for, system_messages
from glasschat.chat.saved import SavedConversation, Settings
from glasschat.engine import Reply
from glasschat.errors import PromptTooLong
from glasschat.prompt import ChatMessage


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Tokens of the context that a conversation takes, and its turns that are left out, by id.

    `estimated` says that nobody has counted them.
    """

    used: int
    left_out: frozenset[str]
    estimated: bool = False


def context_use(
    backend: Backend, saved: SavedConversation, settings: Settings, reply: Reply | None
) -> ContextUse:
    """Return what the open path takes of the context, with `reply` at its end or before the next.

    Raises PromptError and EngineError as asking does, but for a prompt that is too long.
    """
    path, estimated = saved.tree.path, False
    system = system_messages(saved.system if reply else settings.system)
    if reply is not None:
        usage = reply.snapshot().usage
        used, dropped = usage.prompt_tokens + usage.completion_tokens, reply.prompt.left_out
    else:
        # What comes next is a question: what would be left out for it is not read any more.
        messages = [*system, *messages_for(backend, path), ChatMessage("user", "")]
        try:
            prompt = backend.fit(messages, settings.params, settings.policy)
            used, dropped, estimated = prompt.tokens, prompt.left_out, not prompt.counted
        except PromptTooLong as error:
            used, dropped = error.needed, ()
    return ContextUse(used, frozenset(path[i - len(system)].id for i in dropped), estimated)
