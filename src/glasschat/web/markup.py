"""Converts text of models and people into safe and correct Markdown for Streamlit.

Streamlit escapes HTML and disarms script links itself. What is left: remote images, which would
tell a stranger that the text was read; prices that look like formulas; shortcodes that turn into
pictures and colours; arrows and dashes that are drawn as other signs; and formulas in `\\( \\)`
and `\\[ \\]`, which it does not know. A page's policy forbids remote images once more, so that a
text which is read here in another way than in the browser still fetches nothing.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

# What may stand before a fence: blanks, quotation marks, the bullet of a list.
_BEFORE = r"(?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*"
# A fence of backticks has none in its first line: that would be a code span.
FENCE = rf"{_BEFORE}(?P<mark>`{{3,}}(?=[^`\n]*$)|~{{3,}})"

# A fenced block; an open one runs to the end.
_FENCED = re.compile(
    rf"^{FENCE}[^\n]*(?:\n(?:[^\n]*\n)*?[ \t>]*(?P=mark)[`~]*[ \t]*$|(?s:.*)\Z)", re.MULTILINE
)
_TICKS = re.compile(r"`+")
# A code span ends with its paragraph, so it does not reach into a line that begins a block.
_BLOCK_BEGINS = re.compile(r"\n(?=[ \t]*(?:[-*+>#|=~]|`{3}|\d{1,9}[.)]|$))", re.MULTILINE)
# No formula contains the beginning of another: what follows an opening without an end is read once.
_DISPLAY = re.compile(r"\\\[((?:[^\\]|\\(?!\[))+?)\\\]")
_INLINE = re.compile(r"\\\(((?:[^\\]|\\(?!\())+?)\\\)")
# A formula as pandoc reads it: no blank inside the dollars, no digit after them.
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<display>[^$]+?)\$\$"
    r"|(?<![\\$\w])\$(?P<inline>(?![\s\d.,]*(?:\s|$))[^\s$](?:[^$\n]*?[^\s$\\])?)\$(?![\d$])"
)
# After an even number of backslashes a sign stands for itself.
_DOLLAR = re.compile(r"(?<!\\)((?:\\\\)*)\$")
_IMAGE = re.compile(r"(?<!\\)((?:\\\\)*)!\[")
# A directive, as in `:name[text]` or `:name{text}`, would swallow its brackets.
_DIRECTIVE = re.compile(r"(?<!\\):{2,}|(?<!\\):(?=\w[\w-]*[\[{])")
_SHORTCODE = re.compile(r":(?=[\w+/-]+:)")
# Two dashes alone in a line make a heading of the one before.
_SIGN = re.compile(r"(?<!\S)(?!^--[ \t]*$)([<~>-])(->|[-=>])(?!\S)", re.MULTILINE)
_WORD_JOINER = "\u2060"


def to_markdown(text: str) -> str:
    """Return Markdown that shows what the model meant and fetches nothing."""
    return _outside(_code(text), text, _prose)


def literal_lines(text: str) -> str:
    """Return Markdown that keeps the line breaks of what a person typed."""
    return _outside(_code(text), text, lambda part: _prose(part).replace("\n", "  \n"))


def _prose(text: str) -> str:
    text = _DISPLAY.sub(lambda match: f"$$\n{match[1].strip()}\n$$", text)
    text = _INLINE.sub(lambda match: f"${match[1].strip()}$", text)
    return _outside(
        _spans_of(_FORMULA, text), text, _words, lambda formula: formula.replace("![", "! [")
    )


def _words(text: str) -> str:
    text = _DOLLAR.sub(r"\1\\$", text)
    text = _IMAGE.sub(r"\1\\!\\[", text)
    text = _SIGN.sub(rf"\1{_WORD_JOINER}\2", text)
    text = _SHORTCODE.sub(":" + _WORD_JOINER, text)
    return _DIRECTIVE.sub(lambda match: "\\:" * len(match[0]), text)


def _spans_of(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in pattern.finditer(text))


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every fenced block and code span, in their order.

    Takes time in proportion to the text, whatever backticks are in it.
    """
    start = 0
    for fenced in _FENCED.finditer(text):
        yield from _code_spans(text, start, fenced.start())
        yield fenced.span()
        start = fenced.end()
    yield from _code_spans(text, start, len(text))


def _code_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for boundary in _BLOCK_BEGINS.finditer(text, start, end):
        yield from _spans_in_paragraph(text, start, boundary.start())
        start = boundary.end()
    yield from _spans_in_paragraph(text, start, end)


def _spans_in_paragraph(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the code spans: a run of backticks to the next run of the same length."""
    runs = [match.span() for match in _TICKS.finditer(text, start, end)]
    following: dict[int, deque[int]] = {}
    for number, (first, last) in enumerate(runs):
        following.setdefault(last - first, deque()).append(number)
    number = 0
    while number < len(runs):
        first, last = runs[number]
        closers = following[last - first]
        while closers and closers[0] <= number:
            closers.popleft()
        if text[first - 1 : first] == "\\":
            # An escaped backtick begins no span, and no formula reaches over it.
            yield first - 1, first + 1
        elif closers:
            number = closers[0]
            yield first, runs[number][1]
        number += 1


def _outside(
    spans: Iterable[tuple[int, int]],
    text: str,
    change: Callable[[str], str],
    inside: Callable[[str], str] = str,
) -> str:
    """Return `text` with `inside` applied to the spans, and `change` to what lies between them."""
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        parts += [change(text[end:start]), inside(text[start:stop])]
        end = stop
    return "".join([*parts, change(text[end:])])


_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:~$&^=@])")


def plain_label(text: str) -> str:
    """Escape `text` for widgets whose labels are read as Markdown."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
