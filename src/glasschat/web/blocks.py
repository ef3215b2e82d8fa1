"""A growing Markdown text in pieces that are finished and a tail that is not.

Every update of an element sends its whole text, so finished paragraphs get elements of their own
and only the tail is sent again.
"""

import re
from dataclasses import dataclass, field

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CONTINUES = re.compile(r"\s|[-*+>|]|\d{1,9}[.)]")


@dataclass(slots=True)
class BlockSplitter:
    """Feed it the whole text as it grows; `finished` blocks never change again.

    A block ends at a blank line outside fences and formulas when the next line is plain: lists,
    tables and quotations may go on after a blank line and stay in one block.
    """

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
        return text[self._start :]

    def _line(self, text: str, line: str, start: int) -> None:
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence[1].startswith(self._fence) and not line.strip(" `~"):
                self._fence = ""
            self._after_blank = False
            return
        if not line.strip():
            self._after_blank = True
            return
        if self._after_blank and not self._formula and not _CONTINUES.match(line):
            self.finished.append(text[self._start : start].strip("\n"))
            self._start = start
        self._after_blank = False
        if fence:
            self._fence = fence[1]
        elif line.count("$$") % 2 or ("\\[" in line) != ("\\]" in line):
            self._formula = not self._formula


@dataclass(slots=True)
class SendBudget:
    """Decides when the tail is worth sending again.

    A tail is sent when at least 1/16 of it is new, at most 16 times a second: what goes to the
    page then grows with the reply, not with its square. A slow reply is still shown every 0.5 s.
    """

    SHARE = 16
    SHORTEST_S = 1 / 16
    LONGEST_S = 0.5

    _sent_length: int = 0
    _sent_at: float = float("-inf")

    def due(self, text_length: int, tail_length: int, now: float) -> bool:
        """Whether to send now; if so, it counts as sent."""
        new = text_length - self._sent_length
        waited = now - self._sent_at
        if new <= 0 or waited < self.SHORTEST_S:
            return False
        patience = self.LONGEST_S * max(1.0, tail_length / 4096)
        if new * self.SHARE < tail_length and waited < patience:
            return False
        self._sent_length = text_length
        self._sent_at = now
        return True
