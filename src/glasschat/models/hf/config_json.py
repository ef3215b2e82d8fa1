"""Values of a config.json, whatever names its family has for them."""

from collections.abc import Mapping
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf.bounded_json import entries

_NAMES = {
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "head_dim": ("head_dim",),
    "context": ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"),
    "vocab": ("vocab_size",),
}
MOST_TOKENS = 1 << 21
# Above these is no model, but a number that would fill the memory.
_MOST = {"layers": 10_000, "heads": 100_000, "kv_heads": 100_000, "vocab": MOST_TOKENS}
_IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part about the language model, of a model that also sees or hears."""
    for key in ("text_config", "llm_config", "language_config"):
        part = config.get(key)
        if isinstance(part, dict):
            return part
    return config


def number(config: Mapping[str, Any], what: str) -> int:
    """Return a size of the model; 0 if it is not stated.

    `what` is hidden, layers, heads, kv_heads, head_dim, context or vocab. Raises InvalidModel when
    it is no number that a model can have.
    """
    part = text_config(config)
    for key in _NAMES[what]:
        value = part.get(key)
        if value is None:
            continue
        if type(value) is not int or not 0 < value <= _MOST.get(what, 1 << 32):
            raise InvalidModel(
                "config.json is damaged: it claims {key} {value}: {advice}",
                key=key,
                value=repr(str(value)[:40]),
                advice=Message("download or copy it again"),
            )
        return value
    return 0


def kv_heads(config: Mapping[str, Any]) -> int:
    """Return how many heads of keys and values a layer has."""
    part = text_config(config)
    if part.get("multi_query") is True and part.get("new_decoder_architecture") is not True:
        # Falcon's writes down the other number, and does not use it.
        return 1
    return number(config, "kv_heads") or number(config, "heads")


def head_dim(config: Mapping[str, Any]) -> int:
    """Return how many numbers a key or a value of one head has."""
    heads = number(config, "heads")
    return number(config, "head_dim") or (number(config, "hidden") // heads if heads else 0)


def check_numbers(config: Mapping[str, Any]) -> None:
    """Raise InvalidModel for a number that no model can have."""
    for what in _NAMES:
        number(config, what)


def check_kind(config: Mapping[str, Any], name: str) -> None:
    """Raise InvalidModel for an encoder-decoder: it answers a text, and does not continue it."""
    part = text_config(config)
    both = all(isinstance(config.get(key), dict) for key in ("encoder", "decoder"))
    if config.get("is_encoder_decoder") is True or part.get("is_encoder_decoder") is True or both:
        kind = str(config.get("model_type"))[:40]
        raise InvalidModel(
            "{name} is an encoder-decoder ({kind}), which does not chat: {advice}",
            name=name,
            kind=repr(kind),
            advice=Message("use a decoder-only model, such as a Llama"),
        )


def check_no_code(document: Mapping[str, Any], name: str) -> None:
    """Raise InvalidModel for JSON that names code to run: the folder's or another repository's."""
    for key, value in entries(document):
        if key == "auto_map" and value:
            raise InvalidModel(
                "{name} asks for code of the folder's own to be run (auto_map), which glasschat "
                "never does: {advice}",
                name=name,
                advice=Message(
                    "use a version of the model without it, or remove the entry if "
                    "transformers knows this model itself"
                ),
            )
        chosen = [value, *value.values()] if isinstance(value, dict) else [value]
        foreign = [text for text in chosen if isinstance(text, str) and "/" in text]
        if foreign and key.removeprefix("_").removesuffix("_internal") in _IMPLEMENTATIONS:
            raise InvalidModel(
                "{name} asks for code of another repository to be run ({key}: {foreign}), which "
                "glasschat never does: {advice}",
                name=name,
                key=key,
                foreign=repr(foreign[0][:80]),
                advice=Message("remove the entry"),
            )
