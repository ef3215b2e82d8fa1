"""Model text made safe and right for Streamlit's Markdown.

Streamlit escapes HTML and disarms script links itself. What is left: remote images, which would
tell a stranger that the text was read; prices that look like formulas; shortcodes that turn into
pictures and colours; arrows and dashes that are drawn as other signs; and formulas in `\\( \\)`
and `\\[ \\]`, which it does not know. A page's policy forbids remote images once more, so that a
text which is read here in another way than in the browser still fetches nothing.
"""

import re
from collections.abc import Callable

# What may stand before a fence: blanks, quotation marks, the bullet of a list.
_BEFORE = r"(?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*"
# A fence of backticks has none in its first line: that would be a code span.
FENCE = rf"{_BEFORE}(?P<mark>`{{3,}}(?=[^`\n]*$)|~{{3,}})"

# Fenced blocks (an open one runs to the end) and code spans are left alone. A span ends with its
# paragraph, so it does not reach into a line that begins a block of its own.
_CODE = re.compile(
    rf"(?P<fence>^{FENCE}[^\n]*(?:\n(?:[^\n]*\n)*?[ \t>]*(?P=mark)[`~]*[ \t]*$|(?s:.*)\Z))"
    r"|(?P<escaped>\\`)"
    r"|(?P<span>(?<!`)(?P<ticks>`+)(?!`)"
    r"(?:[^\n]|\n(?![ \t]*(?:[-*+>#|=~]|`{3}|\d{1,9}[.)]|$)))+?(?<!`)(?P=ticks)(?!`))",
    re.MULTILINE,
)
_DISPLAY = re.compile(r"\\\[(.+?)\\\]", re.DOTALL)
_INLINE = re.compile(r"\\\((.+?)\\\)", re.DOTALL)
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
    """`text` as Markdown that shows what the model meant and fetches nothing."""
    return _outside(_CODE, text, _prose)


def literal_lines(text: str) -> str:
    """Markdown that keeps the line breaks of what a person typed."""
    return _outside(_CODE, text, lambda part: _prose(part).replace("\n", "  \n"))


def _prose(text: str) -> str:
    text = _DISPLAY.sub(lambda match: f"$$\n{match[1].strip()}\n$$", text)
    text = _INLINE.sub(lambda match: f"${match[1].strip()}$", text)
    return _outside(_FORMULA, text, _words, lambda formula: formula.replace("![", "! ["))


def _words(text: str) -> str:
    text = _DOLLAR.sub(r"\1\\$", text)
    text = _IMAGE.sub(r"\1\\!\\[", text)
    text = _SIGN.sub(rf"\1{_WORD_JOINER}\2", text)
    text = _SHORTCODE.sub(":" + _WORD_JOINER, text)
    return _DIRECTIVE.sub(lambda match: "\\:" * len(match[0]), text)


def _outside(
    pattern: re.Pattern[str],
    text: str,
    change: Callable[[str], str],
    inside: Callable[[str], str] = str,
) -> str:
    """`text` with `change` applied to what `pattern` does not match, `inside` to what it does."""
    parts: list[str] = []
    end = 0
    for match in pattern.finditer(text):
        parts += [change(text[end : match.start()]), inside(match[0])]
        end = match.end()
    return "".join([*parts, change(text[end:])])


_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:~$&^=@])")


def plain_label(text: str) -> str:
    """`text` as it stands, for widgets whose labels are read as Markdown."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
