"""Weight files of a model folder: which they are, and whether config.json agrees."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.models.hf import config_json
from glasschat.models.hf.bounded_json import INDEX_BYTES, read_object
from glasschat.models.hf.safetensors import TensorEntry, read_safetensors

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r".*-\d{5}-of-\d{5}\.safetensors")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_EMBEDDING = re.compile(
    r"(.*\.)?(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings|embeddings)\.weight"
)
_OTHER_SENSES = re.compile(r"vision|visual|image|audio|speech")
_LAYER = re.compile(r"(?:layers|h|blocks)\.(\d{1,6})\.")
_KEY_OR_VALUE = re.compile(r"(?:self_attn|attn|attention)\.[kv]_proj\.weight")
_AGAIN = "download or copy it again"


def find_shards(
    path: Path, inside: list[str], config: Mapping[str, Any]
) -> tuple[tuple[Path, ...], Mapping[str, str] | None]:
    """Return the weight files of the folder at `path`, and the index: file names by tensor.

    `inside` are the names in the folder. Raises ModelNotFound when there are no weights,
    InvalidModel when there are some that cannot be used.
    """
    if "adapter_config.json" in inside:
        # transformers would load whatever model the adapter names.
        raise InvalidModel(
            f"{path.name} holds an adapter beside the model (adapter_config.json): merge it into "
            f"the model, or remove it"
        )
    if config.get("transformers_weights") is not None:
        raise InvalidModel(
            f"config.json names another file of weights (transformers_weights): remove the entry "
            f"and name the file {SINGLE}"
        )
    if (path / SINGLE).exists():
        return (path / SINGLE,), None
    index = read_object(path / INDEX, INDEX_BYTES)
    if index is None:
        raise _no_weights(path, inside)
    where = index.get("weight_map")
    if not isinstance(where, dict) or not where:
        raise InvalidModel(f"{INDEX} has no weight_map, which says where weights are: {_AGAIN}")
    for tensor, file in where.items():
        plain = isinstance(file, str) and Path(file).name == file and "\\" not in file
        if not plain or not file.endswith(".safetensors"):
            raise InvalidModel(
                f"{INDEX} looks for {tensor[:80]!r} in {str(file)[:80]!r}, and only .safetensors "
                f"files in the folder itself are read: {_AGAIN}"
            )
    if not isinstance(index.get("metadata"), dict):
        raise InvalidModel(
            f'{INDEX} has no entry "metadata", without which transformers does not load it: add '
            f'"metadata": {{}}'
        )
    files = sorted(set(where.values()))
    missing = [file for file in files if not (path / file).exists()]
    if missing:
        raise InvalidModel(
            f"{missing[0]!r} is missing in {path}, and {len(missing) - 1} more of "
            f"{len(files)} files of weights: download them"
            if len(missing) > 1
            else f"{missing[0]!r} is missing in {path}, one of {len(files)} files of weights: "
            f"download it"
        )
    return tuple(path / file for file in files), where


def read_tensors(
    shards: tuple[Path, ...], index: Mapping[str, str] | None
) -> dict[str, TensorEntry]:
    """Read every tensor's entry, by name. Raises InvalidModel for a file that is not complete."""
    tensors: dict[str, TensorEntry] = {}
    for shard in shards:
        found = read_safetensors(shard)
        # Where two files hold a tensor, the index says which one counts.
        tensors |= {n: t for n, t in found.items() if not index or index.get(n, t.file) == t.file}
    absent = [name for name in index or () if name not in tensors]
    if absent:
        raise InvalidModel(
            f"{INDEX} names {len(absent):,} tensors that its files do not hold, such as "
            f"{absent[0][:80]!r} in {(index or {})[absent[0]]!r}: {_AGAIN}"
        )
    if not tensors:
        raise InvalidModel(f"{shards[0].name} holds no tensors: {_AGAIN}")
    return tensors


def embedding_of(tensors: Mapping[str, TensorEntry]) -> tuple[str, TensorEntry] | None:
    """Return the language model's embedding and the prefix of its name; None if unknown."""
    found = [
        (match[1] or "", tensor)
        for name, tensor in tensors.items()
        if (match := _EMBEDDING.fullmatch(name))
        and not _OTHER_SENSES.search(name)
        and len(tensor.shape) == 2
        and "float" in tensor.dtype
    ]
    return max(found, key=lambda pair: pair[1].shape[0], default=None)


def layers_of(tensors: Mapping[str, TensorEntry], prefix: str) -> dict[int, int]:
    """Return the layers below `prefix`, each with the width of its keys and values.

    The width is 0 where they are not stored as tensors of their own.
    """
    widths: dict[int, int] = {}
    for name, tensor in tensors.items():
        match = _LAYER.match(name, len(prefix)) if name.startswith(prefix) else None
        if match:
            layer = int(match[1])
            widths.setdefault(layer, 0)
            if _KEY_OR_VALUE.fullmatch(name, match.end()) and "float" in tensor.dtype:
                widths[layer] += tensor.shape[0] if len(tensor.shape) == 2 else 0
    return widths


def check_weights(config: Mapping[str, Any], tensors: Mapping[str, TensorEntry], name: str) -> None:
    """Raise InvalidModel when config.json is not that of these weights."""
    embedding = embedding_of(tensors)
    if embedding is None:
        return
    prefix, tensor = embedding
    rows, width = tensor.shape
    vocab, hidden = config_json.number(config, "vocab"), config_json.number(config, "hidden")
    if vocab and rows != vocab:
        raise _contradiction(name, "vocab_size", vocab, f"the embedding has {rows:,} rows")
    # Few families project a narrower embedding to the hidden size, and say so.
    narrow = config_json.text_config(config).get("word_embed_proj_dim")
    if hidden and width != hidden and width != narrow:
        raise _contradiction(name, "hidden size", hidden, f"the embedding is {width:,} wide")
    layers, found = config_json.number(config, "layers"), layers_of(tensors, prefix)
    if not layers or not found:
        return
    absent = set(range(layers)).difference(found)
    if absent:
        raise _contradiction(
            name, "number of layers", layers, f"there are no weights of layer {min(absent)}"
        )
    # Layers that only training uses are stored behind the others.
    more = config_json.text_config(config).get("num_nextn_predict_layers")
    if max(found) >= layers + (more if isinstance(more, int) else 0):
        raise _contradiction(
            name, "number of layers", layers, f"there are weights of layer {max(found)}"
        )


def _contradiction(name: str, what: str, claimed: int, found: str) -> InvalidModel:
    """Return the error for a config.json that the weights contradict."""
    return InvalidModel(
        f"{name} contradicts itself: config.json says {what} {claimed:,}, and {found}: the config "
        f"is another model's, or files are missing: download the folder again"
    )


def _no_weights(path: Path, inside: list[str]) -> ModelNotFound | InvalidModel:
    """Return the error for a folder without usable weights."""
    shards = [name for name in inside if _SHARD.fullmatch(name)]
    other = [name for name in inside if name.endswith(".safetensors")]
    pickles = [name for name in inside if name.endswith(_PICKLES)]
    ggufs = [name for name in inside if name.endswith(".gguf")]
    if shards:
        return InvalidModel(
            f"{INDEX} is missing in {path}, and the weights are in {len(shards)} files: download it"
        )
    if SINGLE in inside or INDEX in inside:
        broken = SINGLE if SINGLE in inside else INDEX
        return InvalidModel(f"{broken} in {path} is a link to nothing: download it again")
    if other:
        return InvalidModel(
            f"{path} holds {other[0]!r} and no {SINGLE}: if that file is the whole model, name it "
            f"{SINGLE}"
        )
    if pickles:
        return InvalidModel(
            f"{path} holds its weights as pickles only ({pickles[0]!r}), which can run code when "
            f"they are opened: use a version of the model in safetensors"
        )
    if ggufs:
        return ModelNotFound(f"{path} holds no safetensors but a GGUF: name {path / ggufs[0]}")
    return ModelNotFound(
        f"{path} holds no weights (no {SINGLE} and no {INDEX}): download the whole folder"
    )
