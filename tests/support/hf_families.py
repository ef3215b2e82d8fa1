"""Tiny random models of every family that is promised, and what an engine does with slots."""

import copy
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from glasschat.models.base import ForwardRow, Logits
from glasschat.models.hf.runner import HfRunner

VOCAB = 160
CONTEXT = 64
# Seen are 3e-5 at most; one key too many or too few in a window moves logits by 0.1 and more.
TOLERANCE = 1e-4

SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WINDOW = {"sliding_window": 11}
HEAD = {"head_dim": 8}
GPT = {"n_embd": 32, "n_head": 4, "n_layer": 4, "n_positions": 256, "n_inner": 48}
MIXED = {"layer_types": ["sliding_attention", "full_attention"] * 2}
LATENT = {
    "num_key_value_heads": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8, "v_head_dim": 12,
}  # fmt: skip
EXPERTS = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1,
    "moe_intermediate_size": 16, "n_shared_experts": 1, "first_k_dense_replace": 1,
}  # fmt: skip
FEW_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
FOUR = {
    **HEAD, **WINDOW, **MIXED, "global_head_dim": 16, "num_kv_shared_layers": 0,
    "hidden_size_per_layer_input": 0,
}  # fmt: skip
EYES = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
ROPE = {"rope_type": "default", "rope_theta": 10_000.0}

FAMILIES: dict[str, dict[str, Any]] = {
    "apertus": {"rope_parameters": ROPE},
    "arcee": {},
    "cohere": {"logit_scale": 0.5},
    "cohere2": {"logit_scale": 0.5, **WINDOW},
    "cwm": {**WINDOW, **HEAD, "rope_parameters": ROPE},
    "deepseek_v2": {**EXPERTS, **LATENT},
    "deepseek_v3": {**EXPERTS, **LATENT},
    "diffllama": {},
    "dots1": {**EXPERTS, **HEAD, **WINDOW, "n_group": 1},
    "ernie4_5": HEAD,
    "ernie4_5_moe": {**EXPERTS, **HEAD, "moe_num_experts": 4, "moe_k": 2},
    "exaone4": {**WINDOW, "sliding_window_pattern": 2},
    "flex_olmo": FEW_EXPERTS,
    "gemma": HEAD,
    "gemma2": {**HEAD, **WINDOW, "query_pre_attn_scalar": 8},
    "gemma3": {"text_config": {**SMALL, **HEAD, **WINDOW, **MIXED}, "vision_config": EYES},
    "gemma3_text": {**HEAD, **WINDOW, **MIXED},
    "gemma4": {"text_config": {**SMALL, **FOUR}, "vision_config": EYES, "audio_config": None},
    "gemma4_text": FOUR,
    "glm": HEAD,
    "glm4": HEAD,
    "glm4_moe": {**EXPERTS, **HEAD},
    "glm4_moe_lite": {**EXPERTS, **LATENT},
    "gpt2": GPT,
    "gpt_bigcode": GPT,
    "gpt_neox": {},
    "granite": {
        "logits_scaling": 2.0,
        "attention_multiplier": 0.2,
        "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5,
    },
    "granitemoe": {"num_local_experts": 4},
    "granitemoeshared": {"num_local_experts": 4},
    "helium": HEAD,
    "hunyuan_v1_dense": HEAD,
    "jais2": {},
    "llama": {},
    "minicpm3": LATENT,
    "minimax_m2": {**HEAD, "num_local_experts": 4, "num_experts_per_tok": 2},
    "ministral": {**WINDOW, **HEAD},
    "ministral3": {**WINDOW, **HEAD, "rope_parameters": {**ROPE, "llama_4_scaling_beta": 0.1,
                   "original_max_position_embeddings": 16}},
    "mistral": WINDOW,
    "mixtral": {**WINDOW, "num_local_experts": 4},
    "nanochat": {},
    "nemotron": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": WINDOW,
    "olmoe": FEW_EXPERTS,
    "persimmon": {},
    "phi": {},
    "phi3": WINDOW,
    "qwen2": {**WINDOW, "use_sliding_window": True, "max_window_layers": 2},
    "qwen2_moe": {**FEW_EXPERTS, "shared_expert_intermediate_size": 16},
    "qwen3": {**HEAD, **WINDOW, "use_sliding_window": True, "max_window_layers": 2},
    "qwen3_moe": {**FEW_EXPERTS, **HEAD},
    "seed_oss": HEAD,
    "smollm3": {},
    "stablelm": {},
    "starcoder2": WINDOW,
    "vaultgemma": {**HEAD, **WINDOW},
}  # fmt: skip


def stock(kind: str, **changes: Any) -> Any:
    """A random model of the family, as transformers makes it."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SMALL, **FAMILIES[kind], **changes})
    return AutoModelForCausalLM.from_config(config).eval()


def ours(model: Any, **options: Any) -> HfRunner:
    """A runner over a copy of `model`; one thread, since two would only wait for each other."""
    usual = {"slots": 4, "context": CONTEXT, "device": "cpu", "threads": 1}
    return HfRunner(copy.deepcopy(model), **{**usual, **options})


class Conversations:
    """Sequences in the slots of a runner, each step compared with the sequence alone.

    `worst` is the largest difference of logits so far.
    """

    def __init__(self, model: Any, runner: HfRunner) -> None:
        self.model = model
        self.runner = runner
        self.ids: list[list[int]] = [[] for _ in range(runner.slots)]
        self.worst = 0.0
        self._random = torch.Generator().manual_seed(1)

    def step(self, *counts: tuple[int, int]) -> None:
        """One forward: of each slot so many new tokens."""
        rows = []
        for slot, count in counts:
            new = torch.randint(3, VOCAB, (count,), generator=self._random).tolist()
            rows.append(ForwardRow(slot, len(self.ids[slot]), new, True))
            self.ids[slot] = self.ids[slot] + new
        logits = self.runner.forward(rows)
        for row, got in zip(rows, logits, strict=True):
            expected = self.alone(row.slot)
            self.worst = max(self.worst, float(np.abs(got - expected).max()))
            assert got.argmax() == expected.argmax()
            assert self.runner.cached_length(row.slot) == len(self.ids[row.slot])

    def alone(self, slot: int) -> Logits:
        """The logits after all of the slot's ids, by transformers and without a cache."""
        with torch.inference_mode():
            given = torch.tensor([self.ids[slot]])
            logits = self.model(input_ids=given, use_cache=False).logits
        row: Logits = logits[0, -1].numpy()
        return row

    def copy(self, source: int, target: int, length: int) -> None:
        """Begin `target` with a part of `source`."""
        assert self.runner.copy_prefix(source, target, length)
        self.ids[target] = self.ids[source][:length]

    def truncate(self, slot: int, length: int) -> None:
        """Cut a sequence off."""
        assert self.runner.truncate(slot, length)
        self.ids[slot] = self.ids[slot][:length]


def converse(conversations: Conversations) -> None:
    """Everything that an engine does with slots, in a few steps."""
    step = conversations.step
    step((0, 7))
    step((0, 1), (1, 9))
    step((1, 1), (0, 1), (3, 17))
    step((0, 14), (3, 1), (1, 6))
    step((0, 1), (1, 1), (3, 1))
    conversations.copy(0, 2, 15)
    step((0, 1), (1, 1), (2, 10), (3, 1))
    step((3, 1), (2, 1), (1, 1), (0, 1))
    conversations.truncate(1, 10)
    conversations.truncate(3, 0)
    step((1, 5), (3, 2), (0, 1))
    step((0, 1), (2, 1))
    step((0, 1), (1, 1), (2, 1), (3, 1))
