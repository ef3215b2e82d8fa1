"""The history is what every penalty goes by: an id too few or too many changes the reply."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import ParameterError
from glasschat.sampling import TokenHistory

IDS = st.lists(st.integers(0, 30), max_size=60)


@given(IDS, IDS, st.integers(0, 10))
def test_every_view_is_what_counting_anew_would_give(
    prompt: list[int], reply: list[int], capacity: int
) -> None:
    history = TokenHistory(prompt, capacity)
    for token_id in reply:
        history.append(token_id)
    counts = Counter(reply)
    assert history.ids.tolist() == prompt + reply
    assert history.output_ids.tolist() == reply
    assert history.seen.tolist() == list(dict.fromkeys(prompt + reply))
    assert history.output_seen.tolist() == list(counts)
    assert history.output_counts.tolist() == list(counts.values())
    assert len(history) == len(prompt) + len(reply)
    assert (history.prompt_length, history.output_length) == (len(prompt), len(reply))


@given(IDS, IDS)
def test_seen_does_not_depend_on_where_the_prompt_ends(prompt: list[int], reply: list[int]) -> None:
    """Sums over `seen` run in its order: a reply continued as a prompt must be penalised alike."""
    appended = TokenHistory(prompt)
    for token_id in reply:
        appended.append(token_id)
    np.testing.assert_array_equal(appended.seen, TokenHistory(prompt + reply).seen)


def test_a_view_taken_earlier_stays_as_it_was() -> None:
    history = TokenHistory([1, 2])
    before = history.ids
    for token_id in range(100):
        history.append(token_id)
    assert before.tolist() == [1, 2]


def test_nobody_writes_to_the_history_through_a_view() -> None:
    history = TokenHistory([1, 2])
    history.append(3)
    for view in (history.ids, history.output_ids, history.seen, history.output_counts):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 7


def test_an_array_of_prompt_ids_is_copied() -> None:
    prompt = np.array([1, 2, 3])
    history = TokenHistory(prompt)
    prompt[0] = 9
    assert history.ids.tolist() == [1, 2, 3]


def test_a_negative_id_is_refused_rather_than_counted_from_the_end() -> None:
    with pytest.raises(ParameterError, match="-1"):
        TokenHistory([3, -1])
    with pytest.raises(ParameterError, match="-2"):
        TokenHistory([3]).append(-2)
