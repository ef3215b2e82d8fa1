"""Packing of the rows of one forward end to end, and the groups of them that attend together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glasschat.errors import ReplyFailed
from glasschat.models.base import ForwardRow
from glasschat.models.hf.attention import AttentionGroup, DecodeGroup, PrefillGroup
from glasschat.models.hf.cache import SlotMapping
from glasschat.models.hf.library import torch

# Slots that decode in one call all read as far as the longest; beyond this factor two calls read
# less, and the second costs little.
MOST_UNEVEN = 2.0
SHORTEST_UNEVEN = 256


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """The tokens of all rows, one row after the other.

    `ids` and `positions` are int64 [1, tokens]; `wanted`, int64 [n], has the index of the last
    token of each row that wants logits, in the order of the rows as they came.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    slot_mapping: SlotMapping
    groups: Sequence[AttentionGroup]
    wanted: torch.Tensor


def pack_rows(rows: Sequence[ForwardRow], device: Any) -> PackedBatch:
    """Pack the rows: those of one token first, by their slots, then the longer ones."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids) > 1, rows[i].slot))
    ids: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    last = [0] * len(rows)
    groups: list[AttentionGroup] = []
    single: list[ForwardRow] = []
    for index in order:
        row = rows[index]
        if len(row.ids) == 1:
            single.append(row)
        else:
            tokens = slice(len(ids), len(ids) + len(row.ids))
            groups.append(PrefillGroup(tokens, row.slot, row.start))
        ids.extend(row.ids)
        positions.extend(range(row.start, row.start + len(row.ids)))
        slots.extend([row.slot] * len(row.ids))
        last[index] = len(ids) - 1
    wanted = [last[index] for index, row in enumerate(rows) if row.wants_logits]
    # One transfer to the device for all that is of one length.
    table = torch.tensor([ids, positions, slots], dtype=torch.int64).to(device)
    return PackedBatch(
        ids=table[0:1],
        positions=table[1:2],
        slot_mapping=SlotMapping(table[2], table[1], (max(slots) + 1, max(positions) + 1)),
        groups=[*group_decodes(single), *groups],
        wanted=torch.tensor(wanted, dtype=torch.int64).to(device),
    )


def group_decodes(rows: Sequence[ForwardRow]) -> list[DecodeGroup]:
    """Group rows of one token, ordered by slot, into few groups of neighbouring slots."""
    found: list[list[ForwardRow]] = []
    for row in rows:
        if found and row.slot == found[-1][-1].slot + 1 and _even([*found[-1], row]):
            found[-1].append(row)
        else:
            found.append([row])
    at = 0
    result = []
    for run in found:
        lengths = [row.start + 1 for row in run]
        result.append(DecodeGroup(slice(at, at + len(run)), run[0].slot, lengths))
        at += len(run)
    return result


def _even(rows: Sequence[ForwardRow]) -> bool:
    """Return whether the slots' lengths are close enough for one call."""
    lengths = [row.start + 1 for row in rows]
    return max(lengths) <= max(SHORTEST_UNEVEN, MOST_UNEVEN * min(lengths))


def check_row(row: ForwardRow, held: int, context: int, known_ids: int) -> None:
    """Raise ReplyFailed for a row that does not start where its slot, of length `held`, ends."""
    if row.start != held or not row.ids or row.start + len(row.ids) > context:
        raise ReplyFailed(
            "slot {slot} holds {held} of {context} positions and {count} were to be put at {start}",
            slot=row.slot,
            held=held,
            context=context,
            count=len(row.ids),
            start=row.start,
        )
    # On CUDA an id beyond the embedding would end the whole process's use of the GPU.
    if not 0 <= min(row.ids) <= max(row.ids) < known_ids:
        raise ReplyFailed(
            "the model has {known_ids:,} tokens and was given one outside of them",
            known_ids=known_ids,
        )
