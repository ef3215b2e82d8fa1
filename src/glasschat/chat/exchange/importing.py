"""Import of files of any supported format; the format is detected from the content."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from glasschat.chat.exchange.chatgpt import from_chatgpt, is_chatgpt
from glasschat.chat.exchange.json_export import FORMAT
from glasschat.chat.exchange.json_import import from_json
from glasschat.chat.exchange.json_input import MOST_BYTES, parse_json
from glasschat.chat.exchange.message_lists import from_messages, is_messages
from glasschat.chat.exchange.report import Imported
from glasschat.chat.exchange.trace_file import FORMAT as TRACE
from glasschat.chat.exchange.trace_import import from_trace
from glasschat.chat.exchange.trace_reading import lines_of, read_trace
from glasschat.chat.node import now_ms
from glasschat.errors import InvalidImport


def import_file(data: bytes, *, now: int | None = None, most_bytes: int = MOST_BYTES) -> Imported:
    """Return the conversations of a file.

    The formats are glasschat's JSON, ChatGPT's conversations.json, lists of messages as in OpenAI's
    API, and trace files, which hold one conversation. `now`, in milliseconds since 1970, is when
    conversations without a time began. Raises InvalidImport for any other file.
    """
    now = now_ms() if now is None else now
    plain = parse_json(data, most_bytes)
    if isinstance(plain, list) and plain and _is_trace(plain[0]):
        return from_trace(read_trace(lines_of(BytesIO(data))), now)
    if isinstance(plain, Mapping) and plain.get("format") == FORMAT:
        return from_json(plain)
    listed = plain if isinstance(plain, list) and not is_messages(plain) else [plain]
    if any(is_chatgpt(entry) for entry in listed[:20]):
        return from_chatgpt(listed, now)
    if any(
        is_messages(entry.get("messages") if isinstance(entry, Mapping) else entry)
        for entry in listed[:20]
    ):
        return from_messages(listed, now)
    raise InvalidImport(
        "the file holds no chats that are known here: choose an export of glasschat, ChatGPT's "
        "conversations.json, or a list of messages with role and content"
    )


def _is_trace(first: Any) -> bool:
    return isinstance(first, Mapping) and first.get("format") == TRACE
