"""Attention over the slots by flash attention with variable lengths, on CUDA.

One call serves all rows, whatever their lengths: each names where its keys begin and how many there
are. All of that lies on the device, so a captured graph serves any lengths and any slots.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glasschat.models.hf.attention import (
    AttentionGroup,
    AttentionRules,
    DecodeGroup,
    LayerAttention,
    PrefillGroup,
)
from glasschat.models.hf.cache import SlotMapping
from glasschat.models.hf.library import torch
from glasschat.models.hf.packing import PackedBatch

log = logging.getLogger(__name__)

WIDEST_HEAD = 256


@dataclass(frozen=True, slots=True)
class FlashGroup:
    """Rows that attend in one call; an AttentionGroup.

    `query_starts` and `key_starts` are int32 [rows + 1], in tokens of the query and of the whole
    cache; `lengths` is int32 [rows], each with the new tokens. The cache must be `by_token`.
    """

    tokens: slice
    query_starts: torch.Tensor
    key_starts: torch.Tensor
    lengths: torch.Tensor
    longest_query: int
    longest_key: int

    def attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, rules: AttentionRules
    ) -> torch.Tensor:
        """Compute attention for [tokens, heads, width], all rows in one call."""
        from torch.nn.attention.varlen import varlen_attn

        before = rules.window - 1 if rules.window else -1
        # A single query sees all keys; asking for causality would cost the quickest kernel.
        after = -1 if self.longest_query == 1 and before < 0 else 0
        return varlen_attn(
            query.contiguous(),
            keys.transpose(1, 2).flatten(0, 1),
            values.transpose(1, 2).flatten(0, 1),
            self.query_starts,
            self.key_starts,
            self.longest_query,
            self.longest_key,
            scale=rules.scale,
            window_size=(before, after),
            enable_gqa=query.shape[1] != keys.shape[1],
            seqused_k=self.lengths,
        )


def use_flash(layout: PackedBatch, context: int) -> PackedBatch:
    """Return the same batch with its groups attending by flash attention."""
    slot_mapping = SlotMapping(layout.slot_mapping.slots, layout.slot_mapping.positions)
    groups = flash_groups(layout.groups, context, layout.ids.device)
    return replace(layout, slot_mapping=slot_mapping, groups=groups)


def flash_groups(
    groups: Sequence[AttentionGroup], context: int, device: Any
) -> list[AttentionGroup]:
    """Return the rows of decode and prefill groups as one FlashGroup for each kind."""
    runs = [group for group in groups if isinstance(group, DecodeGroup)]
    chunks = [group for group in groups if isinstance(group, PrefillGroup)]
    found: list[AttentionGroup] = []
    if runs:
        slots = [run.slot + i for run in runs for i in range(len(run.lengths))]
        lengths = [length for run in runs for length in run.lengths]
        found.append(_rows(runs, slots, [1] * len(slots), lengths, context, device))
    if chunks:
        counts = [chunk.tokens.stop - chunk.tokens.start for chunk in chunks]
        lengths = [chunk.start + n for chunk, n in zip(chunks, counts, strict=True)]
        slots = [chunk.slot for chunk in chunks]
        found.append(_rows(chunks, slots, counts, lengths, context, device))
    return found


def _rows(
    groups: Sequence[AttentionGroup],
    slots: Sequence[int],
    counts: Sequence[int],
    lengths: Sequence[int],
    context: int,
    device: Any,
) -> FlashGroup:
    """Return one FlashGroup over neighbouring groups."""
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + count)
    firsts = [slot * context for slot in slots]
    table = torch.tensor([starts, [*firsts, 0], [*lengths, 0]], dtype=torch.int32).to(device)
    return FlashGroup(
        tokens=slice(groups[0].tokens.start, groups[-1].tokens.stop),
        query_starts=table[0],
        key_starts=table[1],
        lengths=table[2, :-1],
        longest_query=max(counts),
        longest_key=max(lengths),
    )


def flash_usable(seen: Iterable[LayerAttention], dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether every layer can attend so; a trial on the device itself decides last."""
    if device.type != "cuda" or dtype not in (torch.float16, torch.bfloat16):
        return False
    layers = list(seen)
    fit = all(
        layer.rules.softcap is None
        and layer.width == layer.value_width <= WIDEST_HEAD
        and layer.width % 8 == 0
        for layer in layers
    )
    if not fit:
        return False
    try:
        worst = measure_difference(dtype, device, layers[0].width)
    except Exception as error:
        # A build without it says so in several ways; the portable attention is always there.
        log.warning("decoding goes on without flash attention, and is slower: %s", error)
        return False
    if worst > 0.05:
        log.warning("flash attention differs by %.2g here, and is left out", worst)
    return worst <= 0.05


def measure_difference(dtype: torch.dtype, device: torch.device, width: int) -> float:
    """Return the largest difference to the portable attention, over a few rows and rules."""
    generator = torch.Generator(device="cpu").manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    context = 32
    keys, values = (random(3, context, 2, width).transpose(1, 2) for _ in range(2))
    groups: list[AttentionGroup] = [
        DecodeGroup(slice(0, 2), 1, [7, 29]),
        PrefillGroup(slice(2, 11), 0, 14),
    ]
    query = random(11, 4, width)
    worst = 0.0
    for window in (None, 5):
        rules = AttentionRules(None, window, None)
        for group in flash_groups(groups, context, device):
            ours = group.attend(query[group.tokens], keys, values, rules)
            theirs = torch.cat(
                [
                    other.attend(query[other.tokens], keys, values, rules)
                    for other in groups
                    if group.tokens.start <= other.tokens.start < group.tokens.stop
                ]
            )
            worst = max(worst, float((ours - theirs).abs().max()))
    return worst
