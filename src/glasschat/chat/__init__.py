"""Conversations and the replies in flight, apart from any page."""

from glasschat.chat.conversation import Conversation, Settings, Turn
from glasschat.chat.node import Ending, Node, Origin, Run, new_id
from glasschat.chat.registry import Conversations
from glasschat.chat.saved import ConversationInfo, SavedConversation
from glasschat.chat.tree import Tree, titled

__all__ = [
    "Conversation",
    "ConversationInfo",
    "Conversations",
    "Ending",
    "Node",
    "Origin",
    "Run",
    "SavedConversation",
    "Settings",
    "Tree",
    "Turn",
    "new_id",
    "titled",
]
