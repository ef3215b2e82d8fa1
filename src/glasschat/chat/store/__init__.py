"""Conversations in a database: SQLite in a file, or PostgreSQL. The only room that knows SQL."""

from glasschat.chat.store.database import store_url
from glasschat.chat.store.opening import open_store
from glasschat.chat.store.reading import Cursor, Page
from glasschat.chat.store.replies import StoredReply
from glasschat.chat.store.searching import Hit
from glasschat.chat.store.store import LOCAL_OWNER, Store
from glasschat.chat.store.writer import ReplyWriter

__all__ = [
    "LOCAL_OWNER",
    "Cursor",
    "Hit",
    "Page",
    "ReplyWriter",
    "Store",
    "StoredReply",
    "open_store",
    "store_url",
]
