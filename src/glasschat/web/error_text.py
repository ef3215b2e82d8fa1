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

_VALUE = re.compile(r"(?<!\{)\{(\w+)(:,)?\}")
_ENDS = (".", "!", "?", "…", "。", "！", "？")


def explained(error: GlasschatError | str) -> str:
    """The error's one line as a sentence. What has no translation stays English."""
    line, language = str(error).strip(), current_language()
    said = _said(line, language)
    if said != line:
        return said if said.endswith(_ENDS) else said + language.full_stop
    # A setting's name stays as it is, top_p and not Top_p, and so does an address.
    named = any(sign in line.partition(" ")[0] for sign in ("_", "://"))
    first = line[:1] if named else line[:1].upper()
    return first + line[1:] + ("" if line.endswith(_ENDS) else ".")


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
        pieces = _VALUE.split(template)
        literals = [text.replace("{{", "{").replace("}}", "}") for text in pieces[::3]]
        pattern = re.escape(literals[0])
        for literal, number in zip(literals[1:], pieces[2::3], strict=True):
            pattern += (r"([-+\w.,]+?)" if number else "(.*?)") + re.escape(literal)
        names = tuple(pieces[1::3])
        # The values come as they are written already.
        plain = _VALUE.sub(r"{\1}", translation)
        found.append((sum(map(len, literals)), re.compile(pattern, re.DOTALL), names, plain))
    found.sort(key=lambda item: -item[0])
    return tuple((pattern, names, translation) for _, pattern, names, translation in found)
