"""Conversations as files: to read, to keep, and from other programs. Pure: text in, values out."""

from glasschat.chat.exchange.importing import import_file
from glasschat.chat.exchange.markdown import as_markdown
from glasschat.chat.exchange.own_format import as_json
from glasschat.chat.exchange.report import Imported, Skipped

__all__ = ["Imported", "Skipped", "as_json", "as_markdown", "import_file"]
