"""Rows laid end to end: every token once, neighbours of like length together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glasschat.models.base import ForwardRow
from glasschat.models.hf.attention import AttentionRules, DecodeGroup, PrefillGroup
from glasschat.models.hf.packing import MOST_UNEVEN, SHORTEST_UNEVEN, group_decodes, pack_rows

CPU = torch.device("cpu")


@st.composite
def rows(draw: st.DrawFn) -> list[ForwardRow]:
    slots = draw(st.lists(st.integers(0, 11), unique=True, min_size=1))
    return [
        ForwardRow(
            slot,
            draw(st.integers(0, 3000)),
            draw(st.one_of(st.just([slot]), st.lists(st.integers(0, 99), min_size=1, max_size=5))),
            draw(st.booleans()),
        )
        for slot in slots
    ]


@given(rows())
def test_every_token_of_every_row_has_its_place(given_rows: list[ForwardRow]) -> None:
    layout = pack_rows(given_rows, CPU)
    tokens = list(
        zip(
            layout.slot_mapping.slots.tolist(),
            layout.positions[0].tolist(),
            layout.ids[0].tolist(),
            strict=True,
        )
    )
    assert sorted(tokens) == sorted(
        (row.slot, row.start + i, token) for row in given_rows for i, token in enumerate(row.ids)
    )
    ends = [(row.slot, row.start + len(row.ids) - 1) for row in given_rows if row.wants_logits]
    assert [tokens[index][:2] for index in layout.wanted.tolist()] == ends


@given(rows())
def test_groups_tile_the_tokens(given_rows: list[ForwardRow]) -> None:
    layout = pack_rows(given_rows, CPU)
    at = 0
    for group in layout.groups:
        assert group.tokens.start == at
        at = group.tokens.stop
        slots = layout.slot_mapping.slots[group.tokens].tolist()
        positions = layout.positions[0, group.tokens].tolist()
        if isinstance(group, DecodeGroup):
            assert slots == list(range(group.slot, group.slot + len(group.lengths)))
            assert [length - 1 for length in group.lengths] == positions
            most = max(SHORTEST_UNEVEN, MOST_UNEVEN * min(group.lengths))
            assert max(group.lengths) <= most
        else:
            assert isinstance(group, PrefillGroup)
            assert set(slots) == {group.slot}
            assert positions[0] == group.start
    assert at == layout.ids.shape[1]


def test_slots_that_are_apart_or_uneven_attend_apart() -> None:
    """One call for all would read idle slots, or read short ones as far as the longest."""
    lengths = {0: 10, 1: 12, 3: 11, 4: 2000, 5: 1500, 6: 9}
    found = group_decodes([ForwardRow(slot, length, [1], True) for slot, length in lengths.items()])
    assert [(run.slot, len(run.lengths)) for run in found] == [(0, 2), (3, 1), (4, 2), (6, 1)]


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_slots_of_several_lengths_in_one_call_equal_each_alone(
    window: int | None, softcap: float | None
) -> None:
    torch.manual_seed(0)
    keys, values = torch.randn(2, 5, 2, 40, 8)
    query = torch.randn(4, 6, 8)
    rules = AttentionRules(0.3, window, softcap)
    lengths = [3, 40, 1, 21]
    together = DecodeGroup(slice(0, 4), 1, lengths).attend(query, keys, values, rules)
    for row, length in enumerate(lengths):
        alone = DecodeGroup(slice(0, 1), 1 + row, [length]).attend(
            query[row : row + 1], keys, values, rules
        )
        assert torch.allclose(together[row], alone[0], atol=1e-6)
