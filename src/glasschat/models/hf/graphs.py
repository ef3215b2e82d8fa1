"""Decoding through captured CUDA graphs: the same kernels again, without Python in between.

A graph is captured for a number of rows and a length of the cache, both rounded up to a bucket,
when it is first wanted. It reads one table (ids, positions, slots), int64 [3, rows], so any rows of
any slots go through it; rows that fill a bucket up write to the cache's padding and are discarded.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from glasschat.models.base import ForwardRow
from glasschat.models.hf.attention import (
    AttentionRules,
    additive_mask,
    causal_mask,
    dense_attention,
)
from glasschat.models.hf.cache import SlotCache, SlotMapping
from glasschat.models.hf.flash import FlashGroup
from glasschat.models.hf.library import torch
from glasschat.models.hf.packing import PackedBatch

log = logging.getLogger(__name__)

SHORTEST_BUCKET = 512
_WARM_UPS = 2

Compute = Callable[[PackedBatch], torch.Tensor]
Replay = Callable[[], torch.Tensor]
Capture = Callable[[Replay], Replay]


def bucket(wanted: int, smallest: int, most: int) -> int:
    """Return the next power of two from `smallest` on, at most `most`."""
    size = smallest
    while size < wanted:
        size *= 2
    return min(size, most)


@dataclass(frozen=True, slots=True)
class GatheredGroup:
    """Single tokens of any slots, by copies of their caches up to `length`; an AttentionGroup.

    For models and devices that flash attention does not serve. `slots` and `positions` are int64
    [rows] on the device.
    """

    tokens: slice
    slots: torch.Tensor
    positions: torch.Tensor
    length: int

    def attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, rules: AttentionRules
    ) -> torch.Tensor:
        """Compute attention for [rows, heads, width] over gathered caches."""
        rows = self.slots.clamp(max=keys.shape[0] - 1)
        keys = keys[:, :, : self.length].index_select(0, rows)
        values = values[:, :, : self.length].index_select(0, rows)
        at = torch.arange(self.length, device=query.device)
        seen = causal_mask(at, self.positions.view(-1, 1, 1, 1), rules.window)
        attended = dense_attention(
            query.unsqueeze(2), keys, values, additive_mask(seen, query.dtype), rules
        )
        return attended.squeeze(2)


@dataclass(frozen=True, slots=True)
class _Graph:
    table: torch.Tensor
    replay: Replay


class GraphDecoder:
    """Runs rows of one token each through graphs.

    `compute` runs the model on a batch and returns logits, [rows, width]; `cache` is `by_token`
    with padding. `capture` turns a function into one that repeats on the device what the function
    did.
    """

    def __init__(
        self,
        compute: Compute,
        cache: SlotCache,
        device: torch.device,
        *,
        flash: bool,
        capture: Capture,
    ) -> None:
        self._compute = compute
        self._cache = cache
        self._device = device
        self._flash = flash
        self._capture = capture
        self._graphs: dict[tuple[int, int], _Graph] = {}
        self._broken = False

    @property
    def buckets(self) -> list[tuple[int, int]]:
        """Return the numbers of rows and lengths that have been captured."""
        return sorted(self._graphs)

    def decode(self, rows: Sequence[ForwardRow]) -> torch.Tensor | None:
        """Return logits, [rows, width], in the order of the rows, valid until the next call.

        None where they cannot go through a graph: they have to run without one.
        """
        if self._broken or any(len(row.ids) != 1 or not row.wants_logits for row in rows):
            return None
        size = bucket(len(rows), 1, self._cache.padding)
        longest = max(row.start for row in rows) + 1
        length = bucket(longest, SHORTEST_BUCKET, self._cache.context)
        graph = self._graphs.get((size, length)) or self._make(size, length)
        if graph is None:
            return None
        graph.table.copy_(self._fill(rows, size), non_blocking=True)
        return graph.replay()[: len(rows)]

    def _fill(self, rows: Sequence[ForwardRow], size: int) -> torch.Tensor:
        """Return the table of the rows, int64 [3, size], filled up with padding."""
        spare = range(size - len(rows))
        return torch.tensor(
            [
                [*(row.ids[0] for row in rows), *(0 for _ in spare)],
                [*(row.start for row in rows), *spare],
                [*(row.slot for row in rows), *(self._cache.slots for _ in spare)],
            ],
            dtype=torch.int64,
        )

    def _make(self, size: int, length: int) -> _Graph | None:
        """Capture a graph for a bucket; None if that fails, and no graph is tried again."""
        table = self._fill([], size).to(self._device)
        try:
            replay = self._capture(lambda: self._compute(self._layout(table, length)))
        except Exception as error:
            # Whatever it is: without a graph it is either right, or said by the model itself.
            self._broken = True
            first = str(error).strip().partition("\n")[0]
            log.warning("decoding goes on without CUDA graphs, and is slower: %s", first)
            return None
        graph = self._graphs[size, length] = _Graph(table, replay)
        return graph

    def _layout(self, table: torch.Tensor, length: int) -> PackedBatch:
        """Return a batch that reads the table, int64 [3, rows]."""
        # Made anew for each run: what it works out from the table must be in the graph.
        ids, positions, slots = table[0], table[1], table[2]
        count = table.shape[1]
        return PackedBatch(
            ids=table[0:1],
            positions=table[1:2],
            slot_mapping=SlotMapping(slots, positions),
            groups=[self._rows(slots, positions, length, count)],
            wanted=torch.arange(len(ids), device=table.device),
        )

    def _rows(
        self, slots: torch.Tensor, positions: torch.Tensor, length: int, count: int
    ) -> FlashGroup | GatheredGroup:
        """Return the attention group of the rows."""
        tokens = slice(0, count)
        if not self._flash:
            return GatheredGroup(tokens, slots, positions, length)
        # What fills the bucket up reads one position that is there.
        real = slots < self._cache.slots
        firsts = torch.where(real, slots * self._cache.context, 0).to(torch.int32)
        return FlashGroup(
            tokens=tokens,
            query_starts=torch.arange(count + 1, dtype=torch.int32, device=slots.device),
            key_starts=torch.nn.functional.pad(firsts, (0, 1)),
            lengths=torch.where(real, positions + 1, 1).to(torch.int32),
            longest_query=1,
            longest_key=length,
        )


def recompute(function: Replay) -> Replay:
    """Return `function` itself: the same path on a device without graphs, slower than without."""
    return function


class CudaCapture:
    """Captures CUDA graphs of one device, which share one pool of memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._stream = torch.cuda.Stream()
            self._pool: Any = torch.cuda.graph_pool_handle()

    def __call__(self, function: Replay) -> Replay:
        """Capture what `function` does; return a function that replays it."""
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            self._stream.wait_stream(current)
            # Kernels choose their workspaces when they first run, which a capture does not allow.
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM_UPS):
                    function()
            current.wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                result = function()

        def replay() -> torch.Tensor:
            graph.replay()
            return result

        return replay
