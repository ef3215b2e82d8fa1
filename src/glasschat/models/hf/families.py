"""Model families that are right in slots, known from config.json alone.

Every sequence has a slot of keys and values, and all sequences of a step are computed as one. A
model whose past is anything else, or whose attention wants more than keys, values and a window,
would be silently wrong; it is refused by name. The families of TESTED are held to transformers' own
logits by tests. Any other that is not refused must pass a check when it is loaded, on a few tokens
against transformers' own attention (checks.py).
"""

from collections.abc import Mapping
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf.config_json import text_config


def _names(text: str) -> frozenset[str]:
    """Return the names in a text, split at blanks."""
    return frozenset(text.split())


TESTED = _names(
    """
    apertus arcee cohere cohere2 cwm deepseek_v2 deepseek_v3 diffllama dots1 ernie4_5 ernie4_5_moe
    exaone4 flex_olmo gemma gemma2 gemma3 gemma3_text gemma4 gemma4_text glm glm4 glm4_moe
    glm4_moe_lite gpt2 gpt_bigcode gpt_neox granite granitemoe granitemoeshared helium
    hunyuan_v1_dense jais2 llama minicpm3 minimax_m2 ministral ministral3 mistral mixtral nanochat
    nemotron olmo olmo2 olmo3 olmoe persimmon phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe seed_oss
    smollm3 stablelm starcoder2 vaultgemma
    """
)

_STATE = Message(
    "keeps a state instead of keys and values (linear attention, convolution or Mamba)"
)
_ALIBI = Message("tells positions by ALiBi")
_SINKS = Message("attends with sinks")
_CHUNKED = Message("attends in chunks")
_OWN = Message("computes attention in a way of its own")
_REFUSED = {
    **dict.fromkeys(
        _names(
            """
            bailing_hybrid bamba falcon_h1 falcon_mamba granitemoehybrid inkling2_text inkling_text
            jamba kimi_linear lfm2 lfm2_moe lfm3 mamba mamba2 minimax nemotron_h olmo_hybrid qwen3_5
            qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_next qwen4_exp qwen4_exp_text
            recurrent_gemma rwkv xlstm zamba zamba2 zaya
            """
        ),
        _STATE,
    ),
    **dict.fromkeys(("bloom", "mpt"), _ALIBI),
    **dict.fromkeys(
        _names("deepseek_v4 flint gpt_oss granite_swa granitemoe_swa hy_v4 mimo_v2_flash"), _SINKS
    ),
    **dict.fromkeys(("llama4", "llama4_text"), _CHUNKED),
    **dict.fromkeys(
        _names(
            """
            biogpt blt codegen cpmant ctrl deepseek_v32 doge falcon gemma3n gemma3n_text git
            glm_moe_dsa gpt_neo gpt_neox_japanese gptj openai-gpt opt phimoe reformer xglm xlm
            xlnet
            """
        ),
        _OWN,
    ),
}
_LAYERS = {"full_attention", "sliding_attention"}
_HEADS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_ADVICE = Message("choose another model, or a GGUF of this one")


def check_supported(config: Mapping[str, Any], name: str) -> None:
    """Raise InvalidModel when the model of `config` (config.json) cannot be served by slots."""
    part = text_config(config)
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise InvalidModel(
            "{name} does not say what it is (no model_type in config.json): {advice}",
            name=name,
            advice=Message("download it again"),
        )
    if config.get("is_encoder_decoder") is True or part.get("is_encoder_decoder") is True:
        raise InvalidModel(
            "{name} is an encoder-decoder ({kind}), which does not chat: {advice}",
            name=name,
            kind=kind,
            advice=_ADVICE,
        )
    _check_head(config, name)
    _check_quantization(config, name)
    why = _refusal(config) or _refusal(part)
    if why:
        raise InvalidModel(
            "{name} ({kind}) {why}, which glasschat cannot serve: {advice}",
            name=name,
            kind=kind,
            why=why,
            advice=_ADVICE,
        )


def is_tested(config: Mapping[str, Any]) -> bool:
    """Return whether tests hold this family to transformers' own logits."""
    return config.get("model_type") in TESTED


def _refusal(part: Mapping[str, Any]) -> str | None:
    """Return why a part of config.json cannot be served; None if it can."""
    inner = part.get("attn_config")
    if part.get("alibi") is True or (isinstance(inner, dict) and inner.get("alibi") is True):
        return _ALIBI
    kind = part.get("model_type")
    if kind in _REFUSED:
        return _REFUSED[kind]
    layers = part.get("layer_types")
    if isinstance(layers, list):
        others = sorted({str(layer)[:40] for layer in layers} - _LAYERS)
        if others:
            return Message("has layers of the kind {kind}", kind=repr(others[0]))
    if part.get("attention_chunk_size"):
        return _CHUNKED
    if part.get("num_kv_shared_layers"):
        return Message("has layers that share their keys and values")
    return None


def _check_head(config: Mapping[str, Any], name: str) -> None:
    """Raise InvalidModel for a class without an output of tokens."""
    classes = config.get("architectures")
    if not isinstance(classes, list) or not classes:
        return
    if not any(str(found).endswith(_HEADS) for found in classes):
        raise InvalidModel(
            "{name} is a {classes}, which has no output of tokens: {advice}",
            name=name,
            classes=str(classes[0])[:60],
            advice=_ADVICE,
        )


def _check_quantization(config: Mapping[str, Any], name: str) -> None:
    """Raise InvalidModel for quantized weights."""
    for key in ("quantization_config", "compression_config"):
        found = config.get(key)
        if found:
            method = found.get("quant_method") if isinstance(found, dict) else None
            raise InvalidModel(
                "{name} is quantized ({method}), which the folder runner does not read: take the "
                "unquantized folder, or a GGUF in the quantisation you want",
                name=name,
                method=str(method or key)[:40],
            )
