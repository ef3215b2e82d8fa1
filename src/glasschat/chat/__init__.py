"""Conversations and the replies in flight, apart from any page."""

from glasschat.chat.conversation import Conversation, Settings, Turn
from glasschat.chat.registry import Conversations

__all__ = ["Conversation", "Conversations", "Settings", "Turn"]
