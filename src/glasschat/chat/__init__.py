"""Conversations and the replies in flight, apart from any page."""

from glasschat.chat.conversation import ContextUse, Conversation
from glasschat.chat.library import Library
from glasschat.chat.node import Ending, Node, Origin, Run, new_id
from glasschat.chat.partial_reply import ReplyOnItsWay
from glasschat.chat.saved import ConversationInfo, SavedConversation, Settings
from glasschat.chat.token_reuse import as_read_by, wrote_last
from glasschat.chat.tree import Tree, titled

__all__ = [
    "ContextUse",
    "Conversation",
    "ConversationInfo",
    "Ending",
    "Library",
    "Node",
    "Origin",
    "ReplyOnItsWay",
    "Run",
    "SavedConversation",
    "Settings",
    "Tree",
    "as_read_by",
    "new_id",
    "titled",
    "wrote_last",
]
