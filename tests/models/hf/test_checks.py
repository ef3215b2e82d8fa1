"""Models that would be silently wrong in slots are refused when they are started."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from glasschat.errors import InvalidModel
from glasschat.models.base import ForwardRow
from glasschat.models.hf import attention
from glasschat.models.hf.attention import AttentionRules
from glasschat.models.hf.checks import layer_windows
from glasschat.models.hf.runner import HfRunner
from tests.support.hf_families import (
    FOUR,
    MIXED,
    SMALL,
    TOLERANCE,
    WINDOW,
    Conversations,
    converse,
    ours,
    stock,
)

LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0, 3.0, 2.0, 1.5],
}


def longrope() -> Any:
    """A Phi-3 with one set of frequencies up to 32 tokens and another beyond."""
    return stock(
        "phi3",
        rope_parameters=LONGROPE,
        original_max_position_embeddings=32,
        sliding_window=None,
    )


def other(kind: str, **changes: Any) -> Any:
    """A random model of a family that is not among the tested ones."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SMALL, **changes})
    return AutoModelForCausalLM.from_config(config).eval()


def start(model: Any, **options: Any) -> HfRunner:
    return ours(model, **{"slots": 2, **options})


def test_a_layer_that_does_not_say_its_window_is_refused() -> None:
    """Phi-3.5-MoE's code puts its window into the mask only, and would attend to everything."""
    model = other("phimoe", num_local_experts=4, **WINDOW)
    with pytest.raises(InvalidModel, match=r"layer 0 of phimoe .* --context of at most 11"):
        start(model)
    assert start(model, context=11).forward([ForwardRow(0, 0, [5], True)]).shape == (1, 160)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("lfm2", {"layer_types": ["conv", "full_attention"] * 2}),
        ("qwen3_next", {"head_dim": 8, "num_experts": 4, "moe_intermediate_size": 16}),
        ("bloom", {"n_head": 4, "n_layer": 2}),
        ("falcon", {"alibi": False}),
        ("gptj", {"n_embd": 32, "n_head": 4, "n_layer": 2, "rotary_dim": 8}),
        ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
        ("gemma4_text", {**FOUR, "num_kv_shared_layers": 2}),
        ("gpt_oss", {"num_local_experts": 4, "head_dim": 8}),
    ],
)
def test_what_the_names_did_not_catch_does_not_start(kind: str, changes: dict[str, Any]) -> None:
    """hf_support refuses these before loading; a family that it has never heard of ends here."""
    with pytest.raises(InvalidModel, match=r"glasschat|slots"):
        start(other(kind, **changes))


def test_a_family_without_tests_proves_itself() -> None:
    """Its logits from slots must be transformers' own; a scale that is off by a tenth is not."""
    model = other("internlm3")
    assert start(model, check=True).cached_length(1) == 0


@pytest.mark.parametrize("kind", ["gemma2", "gemma3", "gpt2", "granite", "mixtral", "deepseek_v3"])
def test_the_proof_accepts_a_family_that_is_right(kind: str) -> None:
    start(stock(kind), check=True)


def test_the_proof_finds_attention_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.dense_attention

    def wrong(query: Any, keys: Any, values: Any, mask: Any, rules: AttentionRules) -> Any:
        return right(query, keys, values, mask, rules._replace(scale=1.1 * 8**-0.5))

    monkeypatch.setattr(attention, "dense_attention", wrong)
    model = stock("llama")
    start(model)
    with pytest.raises(InvalidModel, match=r"not among the families .* differ"):
        start(model, check=True)


def test_longrope_up_to_its_length_equals_transformers() -> None:
    model = longrope()
    conversations = Conversations(model, ours(model, context=32))
    conversations.step((0, 20), (1, 3))
    conversations.step((0, 12), (1, 1))
    assert conversations.worst < TOLERANCE


def test_longrope_beyond_its_length_does_not_change_with_the_neighbours() -> None:
    """transformers would turn everybody's positions when one sequence grows long."""
    model = longrope()
    alone, beside = start(model), start(model)
    beside.forward([ForwardRow(1, 0, [5] * 50, True)])
    for position in range(4):
        row = ForwardRow(0, position, [7 + position], True)
        both = beside.forward([row, ForwardRow(1, 50 + position, [5], True)])
        assert np.abs(alone.forward([row])[0] - both[0]).max() < TOLERANCE
    # And it is the set of frequencies for long sequences, as transformers uses it for them.
    long = longrope()
    conversations = Conversations(long, ours(long))
    conversations.step((0, 40))
    assert conversations.worst < TOLERANCE


def test_positions_that_would_follow_the_longest_sequence_are_refused() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    model = stock("llama", rope_parameters=rope, max_position_embeddings=48)
    with pytest.raises(InvalidModel, match="beyond 48 tokens: choose a --context up to that"):
        start(model)
    conversations = Conversations(model, ours(model, context=48))
    converse(conversations)
    assert conversations.worst < TOLERANCE


def test_windows_are_those_of_the_config() -> None:
    full = [None] * 4
    assert layer_windows(stock("llama").config) == full
    assert layer_windows(stock("mistral").config) == [11] * 4
    assert layer_windows(stock("qwen2").config) == [None, None, 11, 11]
    assert layer_windows(stock("gemma3_text", **MIXED).config) == [11, None] * 2
    assert layer_windows(other("qwen2_moe").config) == full
