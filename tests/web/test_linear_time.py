"""A hostile text takes time in proportion to its length, whatever is drawn or matched of it.

One visitor's text is drawn by the one interpreter that serves everybody: with time in the square of
the length, a chat of 180 KB stood still for 21 s, for all.
"""

from collections.abc import Callable
from time import process_time

import pytest

from glasschat.web.blocks import BlockSplitter
from glasschat.web.markup import literal_lines, plain_label, to_markdown

SHORT, LONG = 5_000, 40_000
# The long text is 8 times as long: in the square of the length it would take 64 times as long.
MOST = 24


def runs_of_all_lengths(size: int) -> str:
    """Runs of backticks of which none has a partner."""
    return "".join("`" * length + "a" for length in range(1, int((2 * size) ** 0.5)))


UNITS = [
    "\\[", "\\(", "\\[ \\(", "`", "a`b``c", "$", "$a ", "$$", "$$a", "\\", "\\`", "![", "[", "](",
    ":a", "::", ":a:", "- ", "> ", "1. ", "```\n", "~~~\n", "```a`\n", "\n", "\n\n", " \n", "<- ",
    "--", "|", "| a\n", "#", "*", "_", "<", "&", "\t", "天", "\u0301",
]  # fmt: skip


def drawn_in_blocks(text: str) -> None:
    BlockSplitter().push(text)


@pytest.mark.parametrize("draw", [to_markdown, literal_lines, plain_label, drawn_in_blocks])
def test_time_grows_with_the_length_and_no_faster(draw: Callable[[str], object]) -> None:
    slow = {}
    for unit in [*UNITS, None]:
        short, long = (
            runs_of_all_lengths(size) if unit is None else unit * (size // len(unit))
            for size in (SHORT, LONG)
        )
        base = max(_seconds(draw, short), 0.002)
        if (ratio := _seconds(draw, long) / base) > MOST:
            slow[unit] = round(ratio)
    assert not slow


def _seconds(draw: Callable[[str], object], text: str) -> float:
    """Return the shorter processor time of two calls."""

    def once() -> float:
        start = process_time()
        draw(text)
        return process_time() - start

    return min(once() for _ in range(2))
