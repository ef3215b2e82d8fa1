"""Splits a growing Markdown text into finished blocks and a tail.

Streamlit draws a finished block as an element of its own; the tail grows without Streamlit.
"""

import re
from dataclasses import dataclass, field

from glasschat.web.markup import FENCE

_FENCE = re.compile(FENCE, re.MULTILINE)
# Formulas, which a tail shows as they are written.
_FORMULA = re.compile(r"\$|\\[(\[]")
# A line that may belong to the block before the blank line; a number alone could become a bullet.
_CONTINUES = re.compile(r"\s|[-*+](?:\s|$)|[>|]|\d{1,9}(?:[.)](?:\s|$)|$)")


@dataclass(slots=True)
class BlockSplitter:
    """Splitter that is fed the whole text as it grows; `finished` blocks never change again.

    A block ends at a blank line outside fences and formulas when the next line is plain: lists,
    tables and quotations may go on after a blank line and stay in one block. Short ones share one,
    because every element has a cost for the page; paragraphs above all, as a tail shows them just
    as Streamlit does.
    """

    SHORTEST = 300
    SHORTEST_PLAIN = 1500

    finished: list[str] = field(default_factory=list)
    _start: int = 0
    _scanned: int = 0
    _fence: str = ""
    _formula: bool = False
    _after_blank: bool = False
    _plain: bool = True

    def push(self, text: str) -> str:
        """Move finished blocks of `text`, a longer version of the last one, to `finished`.

        Returns the tail.
        """
        while (end := text.find("\n", self._scanned)) >= 0:
            self._read_line(text, text[self._scanned : end], self._scanned)
            self._scanned = end + 1
        if not self._fence and (line := text[self._scanned :]).strip():
            self._end_block_before(text, line, self._scanned)
        return text[self._start :]

    def _read_line(self, text: str, line: str, start: int) -> None:
        fence = _FENCE.match(line)
        if self._fence:
            bare = line.strip(" \t>")
            if bare.startswith(self._fence) and not bare.strip(self._fence[0]):
                self._fence = ""
            self._after_blank = False
            return
        if not line.strip():
            self._after_blank = True
            return
        self._end_block_before(text, line, start)
        self._after_blank = False
        if fence or _CONTINUES.match(line) or _FORMULA.search(line):
            self._plain = False
        if fence:
            self._fence = fence["mark"]
        elif line.count("$$") % 2 or ("\\[" in line) != ("\\]" in line):
            self._formula = not self._formula

    def _end_block_before(self, text: str, line: str, start: int) -> None:
        """End the block before `line` if it begins another; half a line is enough to see that."""
        plain = not self._formula and not _CONTINUES.match(line)
        enough = self.SHORTEST_PLAIN if self._plain else self.SHORTEST
        if self._after_blank and plain and start - self._start >= enough:
            self.finished.append(text[self._start : start].strip("\n"))
            self._start = start
            self._plain = True
