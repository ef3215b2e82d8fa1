"""Reads the metadata of a GGUF file."""

import re
from collections.abc import Mapping
from pathlib import Path

from glasschat.doctor.gguf_table import read_table
from glasschat.doctor.metadata import Claim, ModelMetadata, Rope, TensorLocation
from glasschat.models.gguf.files import display_name, split_files
from glasschat.models.gguf.header import GgufHeader
from glasschat.models.gguf.reader import Value

_TYPES = "tokenizer.ggml.token_type"
_NORMAL = 1
# The architecture's figures under the names that a config.json has for them.
_SHAPE = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "rope.freq_base": "rope_theta",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "expert_count": "num_experts",
}
_ENDS = ("eos", "eot", "eom")
_TEMPLATE = "tokenizer.chat_template"
_SAMPLING = "general.sampling."


def gguf_metadata(path: Path) -> ModelMetadata:
    """Return the metadata of a GGUF file and of its other parts.

    Of a damaged file it returns what can be read.
    """
    tables = [read_table(path, [_TYPES])]
    tables += [read_table(part) for part in split_files(path)[1:] if part.is_file()]
    metadata = tables[0].metadata
    tensors = tuple(tensor for table in tables for tensor in table.tensors)
    header = GgufHeader(path, 3, metadata, 0, 0, _bytes_by_type(tensors), 0, 0)
    architecture = header.architecture
    by_name = {tensor.name: tensor for tensor in tensors}
    sampling = {
        key.removeprefix(_SAMPLING): value
        for key, value in metadata.items()
        if key.startswith(_SAMPLING) and isinstance(value, int | float | str)
    }
    asks = "tokenizer.ggml.add_bos_token"
    types = metadata.get(_TYPES)
    return ModelMetadata(
        kind="GGUF",
        path=path,
        name=display_name(path),
        declared_name=header.name,
        architecture=architecture,
        storage=header.quantization if tensors else "",
        bits=parse_bits(header.quantization),
        parameters=sum(_elements(tensor) for tensor in tensors),
        weight_bytes=sum(tensor.size for tensor in tensors),
        files=len(tables),
        context=header.train_context,
        context_source=f"{architecture}.context_length",
        rope=_rope(metadata, architecture, by_name),
        shape=_shape(metadata, architecture),
        tensors=tensors,
        embedding_rows=_rows(by_name.get("token_embd.weight")),
        output_rows=_rows(by_name.get("output.weight")),
        vocabulary_claim=_claim(metadata, f"{architecture}.vocab_size"),
        begin_claims=_claims(metadata, ["bos"]),
        begin_required_by=asks if asks in metadata else "its kind of vocabulary",
        end_claims=_claims(metadata, _ENDS),
        end_spelling_source="llama.cpp, by its spelling",
        template_source=_TEMPLATE,
        other_templates=tuple(key for key in metadata if key.startswith(_TEMPLATE + ".")),
        pre_tokenizer=_text(metadata, "tokenizer.ggml.pre"),
        pre_tokenizer_source="tokenizer.ggml.pre",
        sentencepiece=metadata.get("tokenizer.ggml.model") != "gpt2",
        ordinary_ids=frozenset(
            i for i, kind in enumerate(types if isinstance(types, tuple) else ()) if kind == _NORMAL
        ),
        sampling=sampling,
        sampling_source=_SAMPLING + "*",
    )


def parse_bits(storage: str) -> int:
    """Return the bits of one weight by the name of its type: 4 for `Q4_K_M`, 16 for `BF16`.

    Return 32 for an unknown type.
    """
    found = re.search(r"\d+", storage)
    return int(found[0]) if found else 32


def _bytes_by_type(tensors: tuple[TensorLocation, ...]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.size
    return sizes


def _elements(tensor: TensorLocation) -> int:
    product = 1
    for length in tensor.shape:
        product *= length
    return product


def _rows(tensor: TensorLocation | None) -> int:
    return tensor.shape[0] if tensor is not None and len(tensor.shape) == 2 else 0


def _claim(metadata: Mapping[str, Value], key: str) -> Claim | None:
    value = metadata.get(key)
    return Claim(key, value) if isinstance(value, int) and not isinstance(value, bool) else None


def _claims(metadata: Mapping[str, Value], names: tuple[str, ...] | list[str]) -> tuple[Claim, ...]:
    found = (_claim(metadata, f"tokenizer.ggml.{name}_token_id") for name in names)
    return tuple(claim for claim in found if claim is not None)


def _text(metadata: Mapping[str, Value], key: str) -> str | None:
    value = metadata.get(key)
    return value if isinstance(value, str) else None


def _number(metadata: Mapping[str, Value], key: str) -> float | None:
    value = metadata.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _shape(metadata: Mapping[str, Value], architecture: str) -> dict[str, float]:
    found = {name: _number(metadata, f"{architecture}.{key}") for key, name in _SHAPE.items()}
    return {name: value for name, value in found.items() if value is not None}


def _rope(
    metadata: Mapping[str, Value], architecture: str, tensors: Mapping[str, TensorLocation]
) -> Rope:
    prefix = f"{architecture}.rope"
    factors = next((name for name in tensors if name.startswith("rope_f")), "")
    kind = _text(metadata, f"{prefix}.scaling.type") or ""
    original = _number(metadata, f"{prefix}.scaling.original_context_length")
    return Rope(
        base=_number(metadata, f"{prefix}.freq_base"),
        scaling=factors or ("" if kind == "none" else kind),
        factor=_number(metadata, f"{prefix}.scaling.factor"),
        original=int(original) if original is not None else None,
    )
