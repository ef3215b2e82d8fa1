"""A growing Markdown text in pieces that are finished and a tail that is not.

Every update of an element sends its whole text, so finished paragraphs get elements of their own
and only the tail is sent again.
"""

import re
from dataclasses import dataclass, field

from glasschat.web.markup import FENCE

_FENCE = re.compile(FENCE, re.MULTILINE)
# A line that may belong to the block before the blank line; a number alone could become a bullet.
_CONTINUES = re.compile(r"\s|[-*+](?:\s|$)|[>|]|\d{1,9}(?:[.)](?:\s|$)|$)")


@dataclass(slots=True)
class BlockSplitter:
    """Feed it the whole text as it grows; `finished` blocks never change again.

    A block ends at a blank line outside fences and formulas when the next line is plain: lists,
    tables and quotations may go on after a blank line and stay in one block. Short paragraphs
    share one, because every element costs a page something of its own.
    """

    SHORTEST = 300

    finished: list[str] = field(default_factory=list)
    _start: int = 0
    _scanned: int = 0
    _fence: str = ""
    _formula: bool = False
    _after_blank: bool = False

    def push(self, text: str) -> str:
        """Cut off what is finished in `text`, a longer version of last time's; the tail."""
        while (end := text.find("\n", self._scanned)) >= 0:
            self._line(text, text[self._scanned : end], self._scanned)
            self._scanned = end + 1
        if not self._fence and (line := text[self._scanned :]).strip():
            self._cut(text, line, self._scanned)
        return text[self._start :]

    def _line(self, text: str, line: str, start: int) -> None:
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
        self._cut(text, line, start)
        self._after_blank = False
        if fence:
            self._fence = fence["mark"]
        elif line.count("$$") % 2 or ("\\[" in line) != ("\\]" in line):
            self._formula = not self._formula

    def _cut(self, text: str, line: str, start: int) -> None:
        """End the block before `line` if it begins another; half a line is enough to see that."""
        plain = not self._formula and not _CONTINUES.match(line)
        if self._after_blank and plain and start - self._start >= self.SHORTEST:
            self.finished.append(text[self._start : start].strip("\n"))
            self._start = start


@dataclass(slots=True)
class SendBudget:
    """Decides when the tail is worth sending again.

    Sending a tail costs its length and `OVERHEAD`. It is sent when `SHARE` times what is new pays
    for that, so that what goes to the page grows with the reply and not with its square; or, for
    a slow reply, when `SLOW_RATE` a second does, and at most every `PATIENCE_S`. A reply of n
    characters that takes t seconds costs at most `SHARE * n + SLOW_RATE * t`, the smaller of the
    two alone where one of them rules.
    """

    SHARE = 22
    OVERHEAD = 300
    SLOW_RATE = 2048
    SHORTEST_S = 1 / 10
    PATIENCE_S = 0.5

    _sent_length: int = 0
    _sent_at: float = float("-inf")

    def due(self, text_length: int, tail_length: int, now: float) -> bool:
        """Whether to send now; if so, it counts as sent."""
        new = text_length - self._sent_length
        waited = now - self._sent_at
        if new <= 0 or waited < self.SHORTEST_S:
            return False
        cost = tail_length + self.OVERHEAD
        patience = max(self.PATIENCE_S, cost / self.SLOW_RATE)
        if new * self.SHARE < cost and waited < patience:
            return False
        self._sent_length = text_length
        self._sent_at = now
        return True
