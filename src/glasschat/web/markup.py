"""Model text made safe and right for Streamlit's Markdown.

Streamlit escapes HTML and disarms script links itself. What is left: remote images, which would
tell a stranger that the text was read; prices that look like formulas; shortcodes that turn into
pictures and colours; and formulas in `\\( \\)` and `\\[ \\]`, which it does not know.
"""

import re
from collections.abc import Callable

# Fenced blocks (an open one runs to the end) and code spans are left alone.
_CODE = re.compile(
    r"(?P<fence>^ {0,3}(?P<mark>`{3,}|~{3,})[^\n]*(?:\n.*?(?:^ {0,3}(?P=mark)[`~]*[ \t]*$|\Z)|\Z))"
    r"|(?P<span>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`))",
    re.MULTILINE | re.DOTALL,
)
_DISPLAY = re.compile(r"\\\[(.+?)\\\]", re.DOTALL)
_INLINE = re.compile(r"\\\((.+?)\\\)", re.DOTALL)
# A formula as pandoc reads it: no blank inside the dollars, no digit after them.
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<display>[^$]+?)\$\$"
    r"|(?<![\\$\w])\$(?P<inline>(?![\s\d.,]*(?:\s|$))[^\s$](?:[^$\n]*?[^\s$\\])?)\$(?![\d$])"
)
_DOLLAR = re.compile(r"(?<!\\)\$")
_IMAGE = re.compile(r"(?<!\\)!(?=\[)")
_SHORTCODE = re.compile(r":(?=[\w+/-]+(?::|\[))")
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
    return _outside(_FORMULA, text, _words)


def _words(text: str) -> str:
    text = _DOLLAR.sub(r"\\$", text)
    text = _IMAGE.sub(r"\\!", text)
    return _SHORTCODE.sub(":" + _WORD_JOINER, text)


def _outside(pattern: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` applied to everything that `pattern` does not match."""
    parts: list[str] = []
    end = 0
    for match in pattern.finditer(text):
        parts += [change(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*parts, change(text[end:])])
