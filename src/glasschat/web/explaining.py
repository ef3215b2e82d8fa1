"""What went wrong, as a sentence in the visitor's language.

An error is one line of English that was made from a template: in the log, in the store and on the
command line it stays that. Here the template is found again among those of the catalogue, which
`tools/messages.py` reads out of the source, and filled anew. So an error that was kept with a
reply months ago is read in whichever language its reader has.
"""

import re
from functools import cache

from glasschat.errors import GlasschatError
from glasschat.web.language import Language, current_language, messages_of

ERROR = "error"
"""The context of these messages in a catalogue."""

LONGEST = 2000
"""Characters of a line that is looked at."""


def explained(error: GlasschatError | str) -> str:
    """The error's one line as a sentence. What has no translation stays English."""
    return sentence(_said(str(error).strip(), current_language()))


def sentence(message: str) -> str:
    """A line as a sentence of its own."""
    stop = "。" if re.search(r"[\u3400-\u9fff][^A-Za-z]*$", message) else "."
    ended = message.endswith((".", "!", "?", "。", "！", "？"))
    # A setting's name stays as it is: top_p, not Top_p.
    named = "_" in message.partition(" ")[0]
    first = message[:1] if named else message[:1].upper()
    return first + message[1:] + ("" if ended else stop)


def _said(line: str, language: Language, depth: int = 3) -> str:
    if depth == 0 or len(line) > LONGEST:
        return line
    # The most of a line's own words decide: a template may be little more than its values.
    for pattern, names, translation in _templates(language):
        if match := pattern.fullmatch(line):
            values = [_said(value, language, depth - 1) for value in match.groups()]
            return translation.format(**dict(zip(names, values, strict=True)))
    return line


@cache
def _templates(language: Language) -> tuple[tuple[re.Pattern[str], tuple[str, ...], str], ...]:
    found = []
    for template, translation in messages_of(language, ERROR).items():
        literals, names = _parsed(template)
        pattern = "(.+?)".join(map(re.escape, literals))
        found.append((sum(map(len, literals)), re.compile(pattern, re.DOTALL), names, translation))
    found.sort(key=lambda item: -item[0])
    return tuple((pattern, names, translation) for _, pattern, names, translation in found)


def _parsed(template: str) -> tuple[list[str], tuple[str, ...]]:
    """The texts around the values, and the values' names."""
    pieces = re.split(r"(?<!\{)\{(\w+)\}(?!\})", template)
    literals = [text.replace("{{", "{").replace("}}", "}") for text in pieces[::2]]
    return literals, tuple(pieces[1::2])
