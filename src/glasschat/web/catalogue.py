"""Translations as translators write them: a .po file, read and compiled in memory.

No compiled file lies about that could be older than its source, and an installation needs no step
of its own. Plurals and look-up are gettext's, of the standard library.
"""

import ast
import gettext
import io
import re
import struct
from collections.abc import Iterable, Iterator, Mapping

_MAGIC = 0x950412DE
_PART = re.compile(r'(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d\]) (".*")')
_IN = "\x04"
"""Stands between a message's context and its text."""


class Catalogue(gettext.GNUTranslations):
    """A .po file's messages. Raises ValueError for a line that belongs to none."""

    def __init__(self, text: str = "") -> None:
        # Not splitlines: a message may hold what other systems take for a line's end.
        messages = dict(_entries(text.replace("\r\n", "\n").split("\n")))
        super().__init__(io.BytesIO(_compiled(messages)))


def _entries(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each message and its translation, as a compiled catalogue has them.

    Fuzzy, obsolete and untranslated ones are left out: the source's own words are then shown.
    """
    entry: dict[str, str] = {}
    fuzzy, part = False, ""
    for number, line in enumerate([*lines, ""], 1):
        line = line.strip()
        if line.startswith("#,"):
            fuzzy = "fuzzy" in line
        elif line.startswith('"') and part:
            entry[part] += ast.literal_eval(line)
        elif match := _PART.fullmatch(line):
            part = match[1]
            entry[part] = ast.literal_eval(match[2])
        elif line and not line.startswith("#"):
            raise ValueError(f"line {number} of the catalogue is no part of a message: {line}")
        elif not line:
            # The header counts even where nobody has looked through it: it names the plurals.
            if entry and (not fuzzy or not entry["msgid"]) and (done := _entry(entry))[1]:
                yield done
            entry, fuzzy, part = {}, False, ""


def _entry(entry: Mapping[str, str]) -> tuple[str, str]:
    message = entry["msgid"]
    if "msgctxt" in entry:
        message = entry["msgctxt"] + _IN + message
    if "msgid_plural" not in entry:
        return message, entry["msgstr"]
    forms = [entry[name] for name in sorted(entry) if name.startswith("msgstr[")]
    return f"{message}\0{entry['msgid_plural']}", "\0".join(forms) if all(forms) else ""


def _compiled(messages: Mapping[str, str]) -> bytes:
    """GNU's .mo format: a header, two tables of lengths and offsets, the texts."""
    pairs = sorted((key.encode(), value.encode()) for key, value in messages.items())
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    start = 28
    offset = start + 16 * len(pairs)
    tables, data = [], []
    for text in (*keys, *values):
        tables.append(struct.pack("<2I", len(text), offset))
        data.append(text + b"\0")
        offset += len(text) + 1
    header = struct.pack("<7I", _MAGIC, 0, len(pairs), start, start + 8 * len(pairs), 0, start)
    return header + b"".join(tables) + b"".join(data)
