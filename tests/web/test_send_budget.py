"""What a watching page is sent: enough to follow, never the square of the reply."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.web.blocks import BlockSplitter, SendBudget

TOKENS, CHARACTERS = 4000, 4.2
PROSE = "The keeper climbed the stairs and lit the lamp, as on every evening of his life. "


def sent(
    lengths: Sequence[int], step_s: float, text: str, overhead: int = 300
) -> tuple[int, float]:
    """Bytes sent for a text that grows so, finished pieces included; the longest time unshown."""
    splitter, budget = BlockSplitter(), SendBudget()
    total = drawn = 0
    shown_at = unshown = now = 0.0
    for length in lengths:
        now += step_s
        tail = splitter.push(text[:length])
        for block in splitter.finished[drawn:]:
            total += len(block.encode()) + 2 * overhead
            drawn += 1
        if tail and budget.due(length, len(tail), now):
            total += len(tail.encode()) + overhead
            unshown = max(unshown, now - shown_at)
            shown_at = now
    return total, unshown


def shape(kind: str, size: int) -> str:
    paragraphs = size // len(PROSE) + 1
    return {
        "paragraphs": (PROSE * 6 + "\n\n") * paragraphs,
        "one paragraph": PROSE * paragraphs,
        "one list": ("- " + PROSE + "\n") * paragraphs,
        "one fence": "```py\n" + (PROSE + "\n") * paragraphs,
        "words": "word\n\n" * size,
    }[kind][:size]


@pytest.mark.parametrize("kind", ["paragraphs", "one paragraph", "one list", "one fence", "words"])
@pytest.mark.parametrize("speed", [20, 50, 150, 1000])
def test_4000_tokens_cost_at_most_half_a_megabyte(kind: str, speed: int) -> None:
    text = shape(kind, int(TOKENS * CHARACTERS))
    lengths = [int((i + 1) * CHARACTERS) for i in range(TOKENS)]
    total, _ = sent(lengths, 1 / speed, text)
    # At the end the page is drawn once more.
    assert total + len(text) <= 500_000


@pytest.mark.parametrize("speed", [1, 2, 5, 10])
def test_a_slow_reply_is_shown_every_second(speed: int) -> None:
    text = shape("paragraphs", 4000)
    lengths = [int((i + 1) * CHARACTERS) for i in range(len(text) // 5)]
    _, unshown = sent(lengths, 1 / speed, text)
    assert unshown <= max(1.0, 1.0 / speed) + 0.01


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0.001, 20)), min_size=1, max_size=200),
    st.booleans(),
)
def test_the_cost_is_bounded_however_a_text_grows(
    growth: list[tuple[int, float]], one_piece: bool
) -> None:
    budget = SendBudget()
    length = tail = cost = 0
    now = 0.0
    for new, waited in growth:
        length += new
        tail = tail + new if one_piece else (tail + new) % 700
        now += waited
        if tail and budget.due(length, tail, now):
            cost += tail + budget.OVERHEAD
    first = growth[0][0] + budget.OVERHEAD
    slow = (budget.SLOW_RATE + (700 + budget.OVERHEAD) / budget.PATIENCE_S) * now
    assert cost <= budget.SHARE * length + slow + first


def test_nothing_new_is_not_sent_again() -> None:
    budget = SendBudget()
    assert budget.due(10, 10, 1.0)
    assert not budget.due(10, 10, 100.0)


def test_at_most_ten_times_a_second() -> None:
    budget = SendBudget()
    due = [budget.due(1000 * i, 10, i / 1000) for i in range(1, 1001)]
    assert 10 <= sum(due) <= 17
