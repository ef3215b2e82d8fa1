"""Checks that slots are right for a model, once it is loaded and has run."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.base import Logits
from glasschat.models.hf.attention import IMPLEMENTATION, LayerAttention
from glasschat.models.hf.library import torch

# How far logits may lie apart, as a share of their spread, both as root mean squares. SmolLM2 on
# ids without sense: 4e-6, 0.04, 0.03.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.15}
_PROBE = 24


def layer_windows(config: Any) -> list[int | None]:
    """Return for each layer how many keys a query sees; None for all of them.

    `config` is transformers' own of the language model. Follows the way in which its modelling code
    chooses between create_causal_mask and create_sliding_window_causal_mask.
    """
    window = getattr(config, "sliding_window", None) or None
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return [window] * config.num_hidden_layers
    return [window if kind == "sliding_attention" else None for kind in kinds]


def check_layers(
    config: Any, seen: Mapping[int, LayerAttention], cached: Collection[int], context: int
) -> None:
    """Compare what each layer asked of attention with what `config` says it should.

    `cached` are the layers that have written to the cache. Raises InvalidModel when a layer keeps
    its past somewhere else, or does not state its window: it would be silently wrong in slots.
    """
    expected = layer_windows(config)
    kind = config.model_type
    own = set(seen) & set(cached)
    if own != set(range(len(expected))):
        raise InvalidModel(
            "{kind} has {layers} layers and {attending} of them attend by keys and values of their "
            "own: glasschat cannot serve what the others do",
            kind=kind,
            layers=len(expected),
            attending=len(own),
        )
    for layer, window in enumerate(expected):
        said = seen[layer].rules.window
        if _within(said, context) != _within(window, context):
            raise InvalidModel(
                "layer {layer} of {kind} is to see {window} tokens and asks for {asked}: {advice}",
                layer=layer,
                kind=kind,
                window=window,
                asked=said,
                advice=Message(
                    "choose a --context of at most {most}",
                    most=min(said or context, window or context),
                ),
            )


def fix_rope_frequencies(module: Any, context: int) -> None:
    """Fix rotary frequencies that transformers would change with the longest of all sequences.

    With "longrope" (Phi-3 of 128k) it takes one set of frequencies up to a length and another
    beyond, and computes a cache anew where a sequence crosses it. In slots the set is chosen once
    by `context`, as vLLM does. The module must have run. Raises InvalidModel for a "dynamic"
    scaling that would set in within `context`.
    """
    for part in module.modules():
        kind = getattr(part, "rope_type", None)
        if isinstance(kind, dict) and {"dynamic", "longrope"} & set(kind.values()):
            raise InvalidModel(
                "{model_type} changes the positions of some layers only with the longest "
                "sequence, which slots cannot follow: {advice}",
                model_type=module.config.model_type,
                advice=Message("choose another model"),
            )
        if kind == "dynamic" and context > part.original_max_seq_len:
            raise InvalidModel(
                "{model_type} changes its positions with the longest sequence beyond {most:,} "
                "tokens: {advice}",
                model_type=module.config.model_type,
                most=part.original_max_seq_len,
                advice=Message("choose a --context up to that"),
            )
        if kind == "longrope":
            limit = part.config.rope_parameters["original_max_position_embeddings"]
            if context > limit:
                part.original_inv_freq = part.long_inv_freq.clone()
            else:
                part.long_inv_freq = part.original_inv_freq.clone()


def reference_logits(module: Any, ids: list[int]) -> torch.Tensor:
    """Return transformers' own logits for `ids`, without a cache: [tokens, vocabulary]."""
    module.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            given = torch.tensor([ids], device=module.device)
            return module(input_ids=given, use_cache=False).logits[0]
    finally:
        module.set_attn_implementation(IMPLEMENTATION)


def probe_ids(vocab_size: int) -> list[int]:
    """Return ids spread over the vocabulary, always the same."""
    return [(7919 * (i + 1)) % vocab_size for i in range(_PROBE)]


def check_agreement(kind: str, ours: Logits, theirs: torch.Tensor) -> None:
    """Raise InvalidModel when logits, float32 [vocab_size], differ from transformers' own."""
    known = theirs.float().cpu().numpy()[: len(ours)]
    apart = float(np.sqrt(np.square(ours - known).mean()) / known.std())
    # Written so that a NaN fails too.
    if not apart <= _TOLERANCE[theirs.dtype]:
        raise InvalidModel(
            "{kind} is not among the families that glasschat is tested with, and its logits "
            "differ from transformers' own by {apart:.2g} of their spread: it cannot be served",
            kind=kind,
            apart=apart,
        )


def _within(window: int | None, context: int) -> int | None:
    """Return the window if it is shorter than the context; None otherwise."""
    return window if window and window < context else None
