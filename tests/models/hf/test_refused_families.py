"""What config.json alone tells: which models are refused, and by what name."""

from typing import Any

import pytest
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from glasschat.errors import InvalidModel
from glasschat.models.hf import families
from glasschat.models.hf.families import TESTED, check_supported, is_tested

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "bloom"}, "ALiBi"),
        ({"model_type": "mpt"}, "ALiBi"),
        ({"model_type": "falcon", "alibi": True}, "ALiBi"),
        ({"model_type": "mpt2", "attn_config": {"alibi": True}}, "ALiBi"),
        ({"model_type": "mamba"}, "keeps a state"),
        ({"model_type": "rwkv"}, "keeps a state"),
        ({"model_type": "jamba"}, "keeps a state"),
        ({"model_type": "qwen3_next"}, "keeps a state"),
        ({"model_type": "recurrent_gemma"}, "keeps a state"),
        ({"model_type": "gpt_oss"}, "sinks"),
        ({"model_type": "llama4", "text_config": {"model_type": "llama4_text"}}, "in chunks"),
        ({**LLAMA, "attention_chunk_size": 8192}, "in chunks"),
        ({"model_type": "new", "layer_types": ["full_attention", "mamba"]}, "kind 'mamba'"),
        ({"model_type": "see", "text_config": {"layer_types": ["conv"]}}, "kind 'conv'"),
        (
            {"model_type": "gemma4", "text_config": {"num_kv_shared_layers": 20}},
            "layers that share",
        ),
        ({"model_type": "gptj"}, "a way of its own"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "bart", "is_encoder_decoder": True}, "encoder-decoder"),
        ({}, "does not say what it is"),
        ({"model_type": 7}, "does not say what it is"),
        ({**LLAMA, "architectures": ["LlamaForSequenceClassification"]}, "no output of tokens"),
        ({**LLAMA, "quantization_config": {"quant_method": "awq"}}, r"quantized \(awq\)"),
        ({**LLAMA, "quantization_config": {"quant_method": "mxfp4"}}, r"quantized \(mxfp4\)"),
        ({**LLAMA, "quantization_config": {"load_in_8bit": True}}, "quantized"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidModel, match=f"^Some-Model .*{words}") as raised:
        check_supported(config, "Some-Model")
    assert "\n" not in str(raised.value)
    assert ": " in str(raised.value), "it says what to do"


@pytest.mark.parametrize("kind", sorted(TESTED))
def test_tested_families_pass(kind: str) -> None:
    check_supported({"model_type": kind}, "Some-Model")
    assert is_tested({"model_type": kind})


def test_a_window_is_no_reason_to_refuse() -> None:
    layers = ["sliding_attention", "full_attention"]
    check_supported({"model_type": "gemma3", "text_config": {"layer_types": layers}}, "Gemma")


def test_names_are_those_of_transformers() -> None:
    """A family that is written otherwise here than there would be refused or promised in vain."""
    known = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert known >= TESTED
    assert not TESTED & set(families._REFUSED)
    assert known >= set(families._REFUSED)
