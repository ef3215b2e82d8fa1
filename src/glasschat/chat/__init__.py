"""Conversations and the replies in flight, apart from any page."""

from glasschat.chat.context_use import ContextUse
from glasschat.chat.conversation import Conversation
from glasschat.chat.library import Library
from glasschat.chat.node import Ending, Node, Origin, Run, new_id
from glasschat.chat.partial_reply import PartialReply
from glasschat.chat.reply_start import score_reply
from glasschat.chat.saved import ConversationInfo, SavedConversation, Settings
from glasschat.chat.token_reuse import is_last_writer, without_foreign_ids
from glasschat.chat.tree import Tree, title_from

__all__ = [
    "ContextUse",
    "Conversation",
    "ConversationInfo",
    "Ending",
    "Library",
    "Node",
    "Origin",
    "PartialReply",
    "Run",
    "SavedConversation",
    "Settings",
    "Tree",
    "is_last_writer",
    "new_id",
    "score_reply",
    "title_from",
    "without_foreign_ids",
]
