"""KV caches of all slots, in the form that transformers' modelling code uses.

Because attention and positions are ours, the code calls one method of a cache only: `update`. A
model that asks for more, such as one length of all rows, would be wrong here, and fails.
"""

from dataclasses import dataclass

from glasschat.errors import InvalidModel
from glasschat.models.hf.library import Tensor, torch


@dataclass(frozen=True, slots=True)
class _LayerTensor:
    """Keys or values of one layer: as they lie, and as a view [slots, kv_heads, context, width]."""

    lines: Tensor
    view: Tensor


@dataclass(frozen=True, slots=True)
class SavedSlot:
    """Contents of a slot in main memory: keys and values by layer, [kv_heads, length, width]."""

    length: int
    layers: dict[int, tuple[Tensor, Tensor]]

    @property
    def nbytes(self) -> int:
        """Return how many bytes it takes."""
        return sum(part.nbytes for pair in self.layers.values() for part in pair)


class SlotMapping:
    """Slot and position of each token of one forward: `slots` and `positions`, both int64 [tokens].

    `extent` is how many slots and how many positions, counted from the first, the forward uses;
    None for all. Padding of a captured graph has the slot number `cache.slots`, which is no slot's.
    """

    def __init__(
        self, slots: Tensor, positions: Tensor, extent: tuple[int, int] | None = None
    ) -> None:
        self.slots = slots
        self.positions = positions
        self.extent = extent
        # The lines of a tensor depend on its number of heads only; most layers have the same.
        self._lines: dict[int, Tensor] = {}

    def lines(self, cache: "SlotCache", heads: int) -> Tensor:
        """Return the lines of the layer's tensor to write, int64 [tokens * heads]."""
        if heads not in self._lines:
            head = torch.arange(heads, device=self.slots.device)
            if cache.by_token:
                first = (self.slots * cache.context + self.positions) * heads
                lines = first.unsqueeze(1) + head
            else:
                first = self.slots * (heads * cache.context) + self.positions
                lines = first.unsqueeze(1) + head * cache.context
            self._lines[heads] = lines.flatten()
        return self._lines[heads]


class SlotCache:
    """Keys and values of `slots` sequences, `context` positions each, allocated once.

    A layer's tensors are allocated when it is first written to, in the shape that it writes. With
    `by_token` a token's heads lie together, as flash attention on CUDA wants them, and there is
    room for `padding` tokens that belong to nobody; without, a head's positions lie together, which
    is faster on a CPU.
    """

    def __init__(
        self, *, slots: int, context: int, by_token: bool = False, padding: int = 0
    ) -> None:
        self.slots = slots
        self.context = context
        self.by_token = by_token
        self.lengths = [0] * slots
        self.padding = padding
        self._stores: dict[int, tuple[_LayerTensor, _LayerTensor]] = {}
        self._places: SlotMapping | None = None

    @property
    def layers(self) -> frozenset[int]:
        """Return the layers that have written."""
        return frozenset(self._stores)

    def head_shape(self, layer: int) -> tuple[int, int]:
        """Return how many heads of keys a layer has in the cache, and their width."""
        _, heads, _, width = self._stores[layer][0].view.shape
        return heads, width

    @property
    def bytes(self) -> int:
        """Return how many bytes the tensors take."""
        return sum(s.lines.nbytes for pair in self._stores.values() for s in pair)

    def set_slot_mapping(self, slot_mapping: SlotMapping) -> None:
        """Set where the next forward writes."""
        self._places = slot_mapping

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values, [1, kv_heads, tokens, width] each.

        Returns the layer's cache, [slots, kv_heads, context, width] each, as far as the forward
        uses it: some models (DeepSeek) unpack all that they get.
        """
        assert self._places is not None
        pair = self._stores.get(layer_idx)
        if pair is None:
            pair = self._stores[layer_idx] = (self._store(keys), self._store(values))
        for store, new in zip(pair, (keys, values), strict=True):
            lines = self._places.lines(self, new.shape[1])
            store.lines.index_copy_(0, lines, new[0].transpose(0, 1).reshape(-1, new.shape[3]))
        if self._places.extent is None:
            return pair[0].view, pair[1].view
        slots, length = self._places.extent
        return pair[0].view[:slots, :, :length], pair[1].view[:slots, :, :length]

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of `source` to `target`."""
        with torch.inference_mode():
            for pair in self._stores.values():
                for store in pair:
                    store.view[target, :, :length] = store.view[source, :, :length]
            self.lengths[target] = length

    def save(self, slot: int) -> SavedSlot:
        """Return a copy of what `slot` holds."""
        with torch.inference_mode():
            length = self.lengths[slot]

            def part(store: _LayerTensor) -> Tensor:
                return store.view[slot, :, :length].to("cpu", copy=True)

            layers = {layer: (part(k), part(v)) for layer, (k, v) in self._stores.items()}
            return SavedSlot(length, layers)

    def restore(self, slot: int, saved: SavedSlot) -> None:
        """Write a saved copy into `slot`."""
        with torch.inference_mode():
            for layer, pair in saved.layers.items():
                for store, part in zip(self._stores[layer], pair, strict=True):
                    store.view[slot, :, : saved.length] = part.to(store.view.device)
            self.lengths[slot] = saved.length

    def clean(self, slot: int) -> None:
        """Empty a slot and write zeros over it."""
        with torch.inference_mode():
            for pair in self._stores.values():
                for store in pair:
                    store.view[slot] = 0
            self.lengths[slot] = 0

    def is_finite(self, slot: int) -> bool:
        """Return whether a slot holds neither NaN nor infinity. Reads all of it."""
        with torch.inference_mode():
            held = [
                store.view[slot, :, : self.lengths[slot]]
                for pair in self._stores.values()
                for store in pair
            ]
            # One answer for all layers: each that comes from a GPU is waited for.
            return bool(torch.stack([torch.isfinite(part).all() for part in held]).all())

    def _store(self, new: Tensor) -> _LayerTensor:
        """Allocate a layer's tensor for keys or values like `new`, [1, kv_heads, n, width]."""
        _, heads, _, width = new.shape
        tokens = self.slots * self.context
        lines = torch.zeros(
            ((tokens + self.padding) * heads, width), dtype=new.dtype, device=new.device
        )
        held = lines[: tokens * heads]
        if self.by_token:
            view = held.view(self.slots, self.context, heads, width).transpose(1, 2)
        else:
            view = held.view(self.slots, heads, self.context, width)
        return _LayerTensor(lines, view)

    def drop(self) -> None:
        """Free the tensors of all layers."""
        self._stores.clear()
        self._places = None

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Raise InvalidModel: a model that asks for this would put all rows at one position."""
        raise InvalidModel(
            "the model wants one length for all sequences, and slots have their own: "
            "glasschat cannot serve it"
        )
