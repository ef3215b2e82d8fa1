"""Conversations and the replies in flight, apart from any page."""

from glasschat.chat.conversation import ContextUse, Conversation
from glasschat.chat.library import Library
from glasschat.chat.node import Ending, Node, Origin, Run, new_id
from glasschat.chat.partial_reply import ReplyOnItsWay
from glasschat.chat.saved import ConversationInfo, SavedConversation, Settings
from glasschat.chat.token_reuse import is_last_writer, without_foreign_ids
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
    "is_last_writer",
    "new_id",
    "titled",
    "without_foreign_ids",
]
