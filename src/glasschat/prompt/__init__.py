"""Messages to ids. Knows no model and no backend."""

from glasschat.prompt.completion import encode_text
from glasschat.prompt.content import encode_content
from glasschat.prompt.encoding import (
    OpenReply,
    Origin,
    PromptEncoding,
    Span,
    SpanRecord,
    decode,
    describe,
)
from glasschat.prompt.fitting import ContextPolicy, PromptFitter
from glasschat.prompt.messages import ROLES, ChatMessage, Role, conversation, user
from glasschat.prompt.plain_text import PlainText
from glasschat.prompt.policy import room_for_reply
from glasschat.prompt.template import ChatTemplate
from glasschat.prompt.turn_end import turn_end, with_turn_end

__all__ = [
    "ROLES",
    "ChatMessage",
    "ChatTemplate",
    "ContextPolicy",
    "OpenReply",
    "Origin",
    "PlainText",
    "PromptEncoding",
    "PromptFitter",
    "Role",
    "Span",
    "SpanRecord",
    "conversation",
    "decode",
    "describe",
    "encode_content",
    "encode_text",
    "room_for_reply",
    "turn_end",
    "user",
    "with_turn_end",
]
