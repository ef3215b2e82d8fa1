"""Encoding of messages to token ids. Knows no model and no backend."""

from glasschat.prompt.content import encode_content, encode_raw_text
from glasschat.prompt.encoding import (
    OpenReply,
    Origin,
    PromptEncoding,
    Span,
    SpanRecord,
    decode,
    describe,
)
from glasschat.prompt.end_of_turn import find_turn_end, with_turn_end
from glasschat.prompt.fitting import ContextPolicy, PromptFitter, room_for_reply
from glasschat.prompt.messages import ROLES, ChatMessage, Role, conversation, user
from glasschat.prompt.plain_text import PlainText
from glasschat.prompt.template import ChatTemplate

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
    "encode_raw_text",
    "find_turn_end",
    "room_for_reply",
    "user",
    "with_turn_end",
]
