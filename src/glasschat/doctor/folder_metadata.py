"""Reads the metadata of a Hugging Face folder."""

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from glasschat.doctor.gguf_metadata import parse_bits
from glasschat.doctor.metadata import Claim, ModelMetadata, Rope, TensorLocation
from glasschat.errors import ModelError
from glasschat.messages import Message
from glasschat.models.hf import config_json
from glasschat.models.hf.bounded_json import TOKENIZER_BYTES, entries, read_object
from glasschat.models.hf.families import check_supported, is_tested
from glasschat.models.hf.folder import CONFIG, GENERATION_CONFIG, TOKENIZER_CONFIG, HfFolder
from glasschat.models.hf.safetensors import HEADER_BYTES, TYPES
from glasschat.models.hf.shards import embedding_of
from glasschat.sampling import SETTINGS

# What generation_config.json recommends: the settings that glasschat has too, and those it has not.
_SAMPLING = (
    *(r.wire["generation_config"] for r in SETTINGS.values() if "generation_config" in r.wire),
    "num_beams",
    "penalty_alpha",
    "max_new_tokens",
)
_SHAPE = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
}
_MORE_SHAPE = ("intermediate_size", "rms_norm_eps", "num_experts")
_CODE = (".py",)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_OUTPUT = "lm_head.weight"


def folder_metadata(folder: HfFolder) -> ModelMetadata:
    """Return the metadata of a folder. Raises InvalidModel if it cannot be read."""
    path, config = folder.path, folder.config
    tokenizer_config = read_json_object(path / TOKENIZER_CONFIG)
    tensors = tuple(tensor for shard in folder.shards for tensor in _tensor_locations(shard))
    part = config_json.text_config(config)
    embedding = embedding_of(folder.tensors)
    output = folder.tensors.get(_OUTPUT)
    vocab = config_json.number(config, "vocab")
    added, words = _tokens(path / "tokenizer.json")
    dtype = folder.dtype if folder.tensors else ""
    return ModelMetadata(
        kind="folder",
        path=path,
        name=folder.name,
        architecture=folder.architecture or folder.model_type,
        storage=dtype,
        bits=_bits(config, dtype),
        parameters=folder.parameters,
        weight_bytes=folder.weight_bytes,
        files=len(folder.shards),
        context=folder.train_context,
        context_source=f"{CONFIG}: max_position_embeddings",
        rope=parse_rope(part),
        shape=_shape(config, part),
        tensors=tensors,
        embedding_rows=embedding[1].shape[0] if embedding else 0,
        output_rows=output.shape[0] if output else 0,
        vocabulary_claim=Claim(f"{CONFIG}: vocab_size", vocab) if vocab else None,
        tokens=max((*added, *words), default=-1) + 1,
        begin_claims=tuple(_claims(folder, "bos_token_id")),
        end_claims=tuple(_claims(folder, "eos_token_id")),
        begin_texts=_pieces(tokenizer_config, "bos_token"),
        end_texts=_pieces(tokenizer_config, "eos_token"),
        begin_required_by=TOKENIZER_CONFIG
        if isinstance(tokenizer_config.get("add_bos_token"), bool)
        else "tokenizer.json",
        template_source=_template_source(path, tokenizer_config),
        ordinary_ids=frozenset(words - added),
        sampling={
            key: value
            for key, value in folder.generation_config.items()
            if key in _SAMPLING and isinstance(value, int | float | str)
        },
        sampling_source=GENERATION_CONFIG,
        unsupported=_unsupported(folder),
        tested=is_tested(config),
        code=tuple(_code(path)),
        ignored_files=tuple(_names_ending_in(path, *_CODE, *_PICKLES)),
    )


def partial_folder_metadata(path: Path) -> ModelMetadata:
    """Return the metadata of a damaged folder, as far as its files can be read."""
    config, generation = read_json_object(path / CONFIG), read_json_object(path / GENERATION_CONFIG)
    try:
        return folder_metadata(HfFolder(path, config, generation, {}, ()))
    except Exception:
        # What a damaged folder claims may be anything; the damage is reported already.
        return ModelMetadata(kind="folder", path=path, name=path.name, code=tuple(_code(path)))


def read_json_object(path: Path, most_bytes: int = TOKENIZER_BYTES) -> Mapping[str, Any]:
    """Return the JSON object in a file, {} if there is none that can be read."""
    try:
        return read_object(path, most_bytes) or {}
    except ModelError:
        return {}


def parse_rope(part: Mapping[str, Any]) -> Rope:
    """Return the rotary positions of a config, under transformers' current and older key names."""
    found = part.get("rope_parameters") or part.get("rope_scaling") or {}
    if not isinstance(found, dict):
        return Rope()
    if found and all(isinstance(value, dict) for value in found.values()):
        # By type of layer: those that see all positions say how far the context reaches.
        found = found.get("full_attention") or next(iter(found.values()))
    kind = found.get("rope_type", found.get("type"))
    original = found.get("original_max_position_embeddings")
    return Rope(
        base=_figure(found.get("rope_theta")) or _figure(part.get("rope_theta")),
        scaling=kind if isinstance(kind, str) and kind != "default" else "",
        factor=_figure(found.get("factor")),
        original=original if type(original) is int else None,
    )


def _unsupported(folder: HfFolder) -> Message | None:
    try:
        check_supported(folder.config, folder.name)
    except ModelError as error:
        return error.message
    return None


def _figure(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bits(config: Mapping[str, Any], dtype: str) -> int:
    quantization = config.get("quantization_config")
    bits = quantization.get("bits") if isinstance(quantization, dict) else None
    return bits if type(bits) is int and 0 < bits <= 32 else parse_bits(dtype)


def _shape(config: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float | None] = {
        name: config_json.number(config, what) or None for name, what in _SHAPE.items()
    }
    found |= {name: _figure(part.get(name)) for name in _MORE_SHAPE}
    found["rope_theta"] = parse_rope(part).base
    return {name: value for name, value in found.items() if value is not None}


def _claims(folder: HfFolder, key: str) -> Iterator[Claim]:
    part = config_json.text_config(folder.config)
    documents = {
        GENERATION_CONFIG: folder.generation_config.get(key),
        CONFIG: folder.config.get(key, part.get(key)),
    }
    for name, value in documents.items():
        for token_id in value if isinstance(value, list) else [value]:
            if type(token_id) is int:
                yield Claim(f"{name}: {key}", token_id)


def _pieces(tokenizer_config: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    value = tokenizer_config.get(key)
    piece = value.get("content") if isinstance(value, dict) else value
    return ((f"{TOKENIZER_CONFIG}: {key}", piece),) if isinstance(piece, str) and piece else ()


def _template_source(path: Path, tokenizer_config: Mapping[str, Any]) -> str:
    if (path / "chat_template.jinja").exists():
        return "chat_template.jinja"
    if tokenizer_config.get("chat_template"):
        return f"{TOKENIZER_CONFIG}: chat_template"
    return "chat_template.json"


def _tokens(path: Path) -> tuple[set[int], set[int]]:
    """Return the ids of the added tokens of a tokenizer.json, and those of its words."""
    found = read_json_object(path)
    listed = found.get("added_tokens")
    model = found.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    added = {
        token["id"]
        for token in (listed if isinstance(listed, list) else ())
        if isinstance(token, dict) and type(token.get("id")) is int
    }
    if isinstance(vocab, dict):
        return added, {i for i in vocab.values() if type(i) is int}
    return added, set(range(len(vocab))) if isinstance(vocab, list) else set()


def _tensor_locations(path: Path) -> Iterator[TensorLocation]:
    """Yield the tensors of a safetensors file that is known to be whole."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, HEADER_BYTES)))
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in TYPES:
            continue
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        size = min(end - begin, prod(shape) * 8)
        yield TensorLocation(name, entry["dtype"], shape, path, 8 + length + begin, size)


def _code(path: Path) -> Iterator[str]:
    """Yield what would run code: `auto_map` entries, and weights that come as pickles only."""
    for name in (CONFIG, TOKENIZER_CONFIG, GENERATION_CONFIG):
        if any(
            key == "auto_map" and value for key, value in entries(read_json_object(path / name))
        ):
            yield f"auto_map in {name}"
    pickles = list(_names_ending_in(path, *_PICKLES))
    if pickles and not any(_names_ending_in(path, ".safetensors")):
        yield f"weights as pickles only ({pickles[0]})"


def _names_ending_in(path: Path, *endings: str) -> Iterator[str]:
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError:
        return
    yield from (name for name in names if name.endswith(endings))
