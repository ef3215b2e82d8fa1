"""Texts as the words that a search finds, the same for every database.

A word is a run of letters and digits, without case and accents; in scripts that put no blanks
between words each character is one. A query's pieces are found as phrases, the last word of a
piece by its beginning: "天空" finds 天空 within a sentence, "expl" finds explain.
"""

import re
import unicodedata
from collections.abc import Iterator

MOST_PIECES = 12
LONGEST_QUERY = 200
LONGEST_WORD = 64
MOST_WORDS = 200_000

# Kana, Han, Hangul, Thai, Lao, Myanmar, Khmer.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_IS_ALONE = re.compile(rf"[{_ALONE}]")
_ACCENTS = re.compile("[\u0300-\u036f]")


def words(text: str) -> Iterator[str]:
    """Yield the words of `text`, in order, at most the first 200,000."""
    for number, match in enumerate(_WORD.finditer(_plain(text))):
        if number == MOST_WORDS:
            return
        yield match[0][:LONGEST_WORD]


def join_words(text: str) -> str:
    """Return the words with blanks between: what is indexed."""
    return " ".join(words(text))


def phrases(query: str) -> list[tuple[list[str], bool]]:
    """Return the pieces of a query: the words of each, and whether the last is only a prefix."""
    found = []
    for piece in query[:LONGEST_QUERY].split()[:MOST_PIECES]:
        if parts := list(words(piece)):
            last = parts[-1]
            # One letter begins too many words to be of help.
            found.append((parts, len(last) > 1 and not _IS_ALONE.match(last)))
    return found


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFKC", bare).casefold()
