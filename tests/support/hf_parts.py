"""What the model folders of tests are made of: tokenizers and weights.

torch and transformers are imported when they are used: most tests do without.
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from glasschat.models.gguf.header import read_header
from tests.support.gguf_weights import weights_of

Dtype = Literal["float32", "bfloat16"]
_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}


def random_weights(
    path: Path, values: dict[str, Any], dtype: Dtype, shard_size: str, seed: int
) -> None:
    """Write the weights of a Llama with the config `values`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    # Wide enough that scores differ by whole units, as a trained model's do.
    config = LlamaConfig(**(values | {"initializer_range": 0.1}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    if not config.tie_word_embeddings:
        model.lm_head.weight.data *= 4
    model.to(getattr(torch, dtype)).save_pretrained(path, max_shard_size=shard_size)


@cache
def llama3_tokenizer() -> str:
    """tokenizer.json of Llama-3: Meta's own file as transformers converts it.

    As published, it puts begin-of-text in front of whatever is encoded.
    """
    from llama_models.llama3 import tokenizer as meta
    from tokenizers import processors
    from transformers.convert_slow_tokenizer import TikTokenConverter

    own = meta.Tokenizer.get_instance()
    converter = TikTokenConverter(
        str(Path(meta.__file__).with_name("tokenizer.model")),
        pattern=own.pat_str,
        extra_special_tokens=list(own.special_tokens),
    )
    converted = converter.converted()
    begin = "<|begin_of_text|>"
    template = processors.TemplateProcessing(
        single=f"{begin} $A",
        pair=f"{begin} $A {begin}:1 $B:1",
        special_tokens=[(begin, own.bos_id)],
    )
    levels = processors.ByteLevel(trim_offsets=False)
    converted.post_processor = processors.Sequence([levels, template])
    return str(converted.to_str())


def smollm2_tokenizer(source: Path) -> dict[str, Any]:
    """tokenizer.json of SmolLM2, from the vocabulary and the merges in its GGUF."""
    keys = ("tokenizer.ggml.tokens", "tokenizer.ggml.merges")
    metadata = read_header(source, keys).metadata
    tokens, merges = metadata[keys[0]], metadata[keys[1]]
    assert isinstance(tokens, tuple) and isinstance(merges, tuple)
    split = {"type": "Digits", "individual_digits": True}
    levels = {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True
    }  # fmt: skip
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": tokens[index], "special": True, **flags} for index in range(17)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, levels]},
        "post_processor": None,
        "decoder": levels,
        "model": {
            "type": "BPE",
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [str(merge) for merge in merges],
        },
    }


def smollm2_weights(path: Path, source: Path, dtype: Dtype) -> None:
    """Write the weights of the GGUF at `source`, bit for bit as transformers reads them."""
    import torch
    from safetensors.torch import save_file

    heads = {"attn_q": 9, "attn_k": 3}
    weights = {}
    for given, values in weights_of(source):
        name = _WHOLE.get(given)
        if name is None:
            _, layer, part, _ = given.split(".")
            name = f"model.layers.{layer}.{_BLOCK[part]}.weight"
            if part in heads:
                # A GGUF has the two halves of a rotated head interleaved.
                split = values.reshape(heads[part], -1, 2, values.shape[-1])
                values = split.swapaxes(1, 2).reshape(values.shape)
        weights[name] = torch.from_numpy(values.copy()).to(getattr(torch, dtype))
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
