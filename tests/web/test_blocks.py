"""A reply is cut into finished pieces without a seam that a reader could see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.web.blocks import BlockSplitter

WORDS = "It was a bright cold day in April and the clocks were striking thirteen. " * 5
PARTS = [
    WORDS,
    "short",
    "\n",
    "\n\n",
    "```py\n",
    "```\n",
    "~~~\n",
    "- item\n",
    "1. item\n",
    "| a | b |\n",
    "> said\n",
    "\\[\n",
    "\\]\n",
    "$$\n",
    "    code\n",
    "**bold** " + WORDS,
    "# Title\n",
]
replies = st.lists(st.sampled_from(PARTS), max_size=20).map("".join)


def blocks(text: str) -> list[str]:
    splitter = BlockSplitter()
    tail = splitter.push(text)
    return [*splitter.finished, tail]


@given(replies)
def test_the_pieces_are_the_text_again(text: str) -> None:
    at = 0
    for piece in blocks(text):
        found = text.find(piece, at)
        assert not text[at:found].strip("\n")
        at = found + len(piece)
    assert at == len(text)


@given(replies, st.integers(1, 50))
def test_it_does_not_matter_in_what_portions_the_text_comes(text: str, portion: int) -> None:
    splitter = BlockSplitter()
    tail = ""
    for end in range(portion, len(text) + portion, portion):
        tail = splitter.push(text[:end])
    assert [*splitter.finished, tail] == blocks(text)


def test_a_growing_reply_never_takes_a_piece_back() -> None:
    text = "\n\n".join([WORDS, "```\na\n\nb\n```", WORDS, "- a\n\n- b", WORDS, "end"])
    splitter = BlockSplitter()
    seen: list[str] = []
    for end in range(len(text) + 1):
        splitter.push(text[:end])
        assert splitter.finished[: len(seen)] == seen
        seen = list(splitter.finished)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "whole",
    [
        f"```py\n{WORDS}\n\nplain\n```",
        f"~~~\n{WORDS}\n\n```\n\nplain\n~~~",
        f"````\n{WORDS}\n\n```\n\nplain\n````",
        f"1. {WORDS}\n\n   ```\n   a\n\n   b\n   ```\n\n2. {WORDS}\n\n- {WORDS}",
        f"- ```\n  {WORDS}\n  ```\n\n- and on",
        f"| a | b |\n|---|---|\n| {WORDS} | 1 |\n\n| 2 | 3 |",
        f"> {WORDS}\n\n> more",
        f"\\[\n{WORDS}\n\nx\n\\]",
        f"$$\n{WORDS}\n\nx\n$$",
        f"{WORDS}\n\n    indented code",
    ],
)
def test_code_lists_tables_quotes_and_formulas_stay_whole(whole: str) -> None:
    assert blocks(whole) == [whole]
    assert blocks(f"{whole}\n\n{WORDS}") == [whole, WORDS]


def test_bold_words_and_code_within_a_line_do_not_keep_a_reply_in_one_piece() -> None:
    long = WORDS * 5
    text = f"**First.** {long}\n\n**Second.** {long}\n\n```inline``` {long}\n\nlast"
    assert len(blocks(text)) == 4


def test_code_and_formulas_are_drawn_soon_and_paragraphs_in_larger_pieces() -> None:
    assert len(blocks(f"{WORDS}\n\n{WORDS}\n\n{WORDS}")) == 1
    assert len(blocks(f"{WORDS} $x^2$\n\n{WORDS}\n\n{WORDS}")) == 2
    assert len(blocks(f"```\n{WORDS}\n```\n\n{WORDS}\n\n{WORDS}")) == 2


def test_short_paragraphs_share_a_piece() -> None:
    """Each element costs a page more than a word or two would."""
    assert len(blocks("word\n\n" * 1000)) < 25
