"""Conversations as files: to read, to keep, and from other programs. Pure: text in, values out."""

from glasschat.chat.exchange.importing import import_file
from glasschat.chat.exchange.json_export import as_json
from glasschat.chat.exchange.markdown import as_markdown
from glasschat.chat.exchange.report import Imported, Skipped
from glasschat.chat.exchange.trace_file import TraceFile, pieces_of, trace_lines
from glasschat.chat.exchange.trace_reading import lines_of, read_trace

__all__ = [
    "Imported",
    "Skipped",
    "TraceFile",
    "as_json",
    "as_markdown",
    "import_file",
    "lines_of",
    "pieces_of",
    "read_trace",
    "trace_lines",
]
