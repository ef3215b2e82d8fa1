"""Attention over the slots, under transformers' stock modelling code.

All rows of a forward are packed end to end as one sequence, so that every layer is computed once
for all of them, without padding. Attention alone must not see across rows. transformers lets a
library register its own (AttentionInterface.register), and this one goes through the rows' groups,
each on its own part of the cache and by its own length. No mask comes from the model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf.library import Tensor, torch, transformers

IMPLEMENTATION = "glasschat_slots"
# What some models hand to their attention, and what this one would silently leave out.
_NOT_HANDLED = ("s_aux", "position_bias")


class AttentionRules(NamedTuple):
    """How a layer attends. `window` counts the keys that a query sees, itself among them."""

    scale: float | None
    window: int | None
    softcap: float | None


class AttentionGroup(Protocol):
    """Neighbouring tokens of a forward that attend together.

    `attend` takes their queries, [tokens, heads, width], and one layer's cache, [slots, kv_heads,
    context, width], and returns [tokens, heads, width of the values].
    """

    @property
    def tokens(self) -> slice:
        """Return which tokens of the forward they are."""

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, rules: AttentionRules) -> Tensor:
        """Compute attention of each token to what its slot holds up to itself."""


@dataclass(slots=True)
class DecodeGroup:
    """One token each for neighbouring slots from `slot` on; `lengths` includes that token."""

    tokens: slice
    slot: int
    lengths: Sequence[int]
    _masks: dict[int | None, Tensor | None] = field(default_factory=dict)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, rules: AttentionRules) -> Tensor:
        """Compute attention for [tokens, heads, width], all slots of the group in one call."""
        rows = slice(self.slot, self.slot + len(self.lengths))
        first = max(0, min(self.lengths) - rules.window) if rules.window else 0
        seen = slice(first, max(self.lengths))
        if rules.window not in self._masks:
            self._masks[rules.window] = self._mask(seen, query, rules.window)
        mask = self._masks[rules.window]
        attended = dense_attention(
            query.unsqueeze(2), keys[rows, :, seen], values[rows, :, seen], mask, rules
        )
        return attended.squeeze(2)

    def _mask(self, seen: slice, query: Tensor, window: int | None) -> Tensor | None:
        """Return an additive mask, [rows, 1, 1, keys]; None where all slots have one length."""
        if min(self.lengths) == max(self.lengths):
            return None
        lengths = torch.tensor(self.lengths, device=query.device).view(-1, 1, 1, 1)
        keys = torch.arange(seen.start, seen.stop, device=query.device)
        return additive_mask(causal_mask(keys, lengths - 1, window), query.dtype)


@dataclass(slots=True)
class PrefillGroup:
    """Several tokens of one slot, the first of them at position `start`."""

    tokens: slice
    slot: int
    start: int
    _masks: dict[int | None, Tensor] = field(default_factory=dict)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, rules: AttentionRules) -> Tensor:
        """Compute causal attention for [tokens, heads, width] over one slot."""
        end = self.start + len(query)
        first = max(0, self.start + 1 - rules.window) if rules.window else 0
        if rules.window not in self._masks:
            at = torch.arange(self.start, end, device=query.device).view(1, 1, -1, 1)
            positions = torch.arange(first, end, device=query.device)
            self._masks[rules.window] = additive_mask(
                causal_mask(positions, at, rules.window), query.dtype
            )
        held = (slice(self.slot, self.slot + 1), slice(None), slice(first, end))
        queries = query.transpose(0, 1).unsqueeze(0)
        attended = dense_attention(
            queries, keys[held], values[held], self._masks[rules.window], rules
        )
        return attended.squeeze(0).transpose(0, 1)


def causal_mask(keys: Tensor, queries: Tensor, window: int | None) -> Tensor:
    """Return which key positions a query at each position sees, bool; the two are broadcast."""
    seen = keys <= queries
    return seen if window is None else seen & (keys > queries - window)


def additive_mask(seen: Tensor, dtype: Any) -> Tensor:
    """Return a mask of `dtype`: zero where `seen` is true, minus infinity elsewhere."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(
        ~seen, float("-inf")
    )


def dense_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, rules: AttentionRules
) -> Tensor:
    """Compute attention of query [rows, heads, n, width] over keys [rows, kv_heads, length, width].

    `mask` is added to the scores; its shape is broadcast to [rows, 1, n, length]. Returns [rows,
    heads, n, width of the values].
    """
    rows, heads, count, width = query.shape
    kv_heads = keys.shape[1]
    if rules.softcap is None and count > 1:
        shared = heads != kv_heads
        if shared and query.is_cuda:
            # There, shared heads and a mask together are left to the slowest kernel.
            keys, values = (t.repeat_interleave(heads // kv_heads, 1) for t in (keys, values))
            shared = False
        return torch.nn.functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, scale=rules.scale, enable_gqa=shared
        )
    # The heads that share their keys side by side, as if they were tokens: nothing is copied.
    packed = query.reshape(rows, kv_heads, -1, width)
    if rules.softcap is None:
        attended = torch.nn.functional.scaled_dot_product_attention(
            packed, keys, values, attn_mask=mask, scale=rules.scale
        )
    else:
        scale = width**-0.5 if rules.scale is None else rules.scale
        scores = torch.matmul(packed, keys.transpose(-1, -2)) * scale
        scores = torch.tanh(scores / rules.softcap) * rules.softcap
        if mask is not None:
            scores = scores.view(rows, kv_heads, -1, count, keys.shape[2]) + mask.unsqueeze(2)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        attended = torch.matmul(weights.view(rows, kv_heads, -1, keys.shape[2]), values)
    return attended.reshape(rows, heads, count, -1)


class LayerAttention(NamedTuple):
    """What a layer asked for in a forward: its rules, its heads of keys, the widths of a head."""

    rules: AttentionRules
    kv_heads: int
    width: int
    value_width: int


class _Forward(NamedTuple):
    groups: Sequence[AttentionGroup]
    seen: dict[int, LayerAttention] | None


_forward: ContextVar[_Forward] = ContextVar("the forward that is running")


@contextmanager
def attention_groups(
    groups: Sequence[AttentionGroup], seen: dict[int, LayerAttention] | None = None
) -> Iterator[None]:
    """Use these groups, which tile the tokens, for the forward that runs inside.

    `seen`, when given, is filled by layer with what the model asked for.
    """
    token = _forward.set(_Forward(groups, seen))
    try:
        yield
    finally:
        _forward.reset(token)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Compute one layer's attention for transformers: query [1, heads, tokens, width].

    `key` and `value` are the layer's cache of the slots, as SlotCache.update returned it. Returns
    [1, tokens, heads, width]. Raises InvalidModel for a kind of attention that would come out
    wrong.
    """
    missed = [name for name in _NOT_HANDLED if others.get(name) is not None]
    if missed or attention_mask is not None or others.get("is_causal") is False:
        what = missed[0] if missed else Message("a mask of the model's own")
        raise InvalidModel(
            "{type} attends with {what}, which glasschat cannot do: {advice}",
            type=type(module).__name__,
            what=what,
            advice=Message("choose another model"),
        )
    rules = AttentionRules(scaling, sliding_window, softcap)
    queries = query.squeeze(0).transpose(0, 1)
    forward = _forward.get()
    if forward.seen is not None:
        forward.seen[module.layer_idx] = LayerAttention(
            rules, key.shape[1], key.shape[3], value.shape[3]
        )
    parts = [group.attend(queries[group.tokens], key, value, rules) for group in forward.groups]
    attended = parts[0] if len(parts) == 1 else torch.cat(parts)
    return attended.unsqueeze(0), None


def register() -> None:
    """Register this attention with transformers under the name IMPLEMENTATION. Can be repeated."""
    transformers.AttentionInterface.register(IMPLEMENTATION, attend)
