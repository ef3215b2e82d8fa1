"""Weight files of a model folder: which they are, and whether config.json agrees."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.messages import Message
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
            "{name} holds an adapter beside the model (adapter_config.json): {advice}",
            name=path.name,
            advice=Message("merge it into the model, or remove it"),
        )
    if config.get("transformers_weights") is not None:
        raise InvalidModel(
            "config.json names another file of weights (transformers_weights): {advice}",
            advice=Message("remove the entry and name the file {single}", single=SINGLE),
        )
    if (path / SINGLE).exists():
        return (path / SINGLE,), None
    index = read_object(path / INDEX, INDEX_BYTES)
    if index is None:
        raise _no_weights(path, inside)
    where = index.get("weight_map")
    if not isinstance(where, dict) or not where:
        raise InvalidModel(
            "{index} has no weight_map, which says where weights are: {advice}",
            index=INDEX,
            advice=_AGAIN,
        )
    for tensor, file in where.items():
        plain = isinstance(file, str) and Path(file).name == file and "\\" not in file
        if not plain or not file.endswith(".safetensors"):
            raise InvalidModel(
                "{index} looks for {tensor} in {file}, and only .safetensors files in the folder "
                "itself are read: {advice}",
                index=INDEX,
                tensor=repr(tensor[:80]),
                file=repr(str(file)[:80]),
                advice=_AGAIN,
            )
    if not isinstance(index.get("metadata"), dict):
        raise InvalidModel(
            '{index} has no entry "metadata", without which transformers does not load it: add '
            '"metadata": {{}}',
            index=INDEX,
        )
    files = sorted(set(where.values()))
    missing = [file for file in files if not (path / file).exists()]
    if missing:
        if len(missing) == 1:
            raise InvalidModel(
                "{file} is missing in {path}, one of {count} files of weights: {advice}",
                file=repr(missing[0]),
                path=path,
                count=len(files),
                advice=Message("download it"),
            )
        raise InvalidModel(
            "{file} is missing in {path}, and {more} more of {count} files of weights: {advice}",
            file=repr(missing[0]),
            path=path,
            more=len(missing) - 1,
            count=len(files),
            advice=Message("download them"),
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
            "{index} names {count:,} tensors that its files do not hold, such as {tensor} in "
            "{file}: {advice}",
            index=INDEX,
            count=len(absent),
            tensor=repr(absent[0][:80]),
            file=repr((index or {})[absent[0]]),
            advice=_AGAIN,
        )
    if not tensors:
        raise InvalidModel("{name} holds no tensors: {advice}", name=shards[0].name, advice=_AGAIN)
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
        raise _contradiction(
            name, "vocab_size", vocab, Message("the embedding has {rows:,} rows", rows=rows)
        )
    # Few families project a narrower embedding to the hidden size, and say so.
    narrow = config_json.text_config(config).get("word_embed_proj_dim")
    if hidden and width != hidden and width != narrow:
        raise _contradiction(
            name,
            Message("hidden size"),
            hidden,
            Message("the embedding is {width:,} wide", width=width),
        )
    layers, found = config_json.number(config, "layers"), layers_of(tensors, prefix)
    if not layers or not found:
        return
    absent = set(range(layers)).difference(found)
    if absent:
        raise _contradiction(
            name,
            Message("number of layers"),
            layers,
            Message("there are no weights of layer {absent}", absent=min(absent)),
        )
    # Layers that only training uses are stored behind the others.
    more = config_json.text_config(config).get("num_nextn_predict_layers")
    if max(found) >= layers + (more if isinstance(more, int) else 0):
        raise _contradiction(
            name,
            Message("number of layers"),
            layers,
            Message("there are weights of layer {found}", found=max(found)),
        )


def _contradiction(name: str, what: str, claimed: int, found: str) -> InvalidModel:
    """Return the error for a config.json that the weights contradict."""
    return InvalidModel(
        "{name} contradicts itself: config.json says {what} {claimed:,}, and {found}: the config "
        "is another model's, or files are missing: {advice}",
        name=name,
        what=what,
        claimed=claimed,
        found=found,
        advice=Message("download the folder again"),
    )


def _no_weights(path: Path, inside: list[str]) -> ModelNotFound | InvalidModel:
    """Return the error for a folder without usable weights."""
    shards = [name for name in inside if _SHARD.fullmatch(name)]
    other = [name for name in inside if name.endswith(".safetensors")]
    pickles = [name for name in inside if name.endswith(_PICKLES)]
    ggufs = [name for name in inside if name.endswith(".gguf")]
    if shards:
        return InvalidModel(
            "{index} is missing in {path}, and the weights are in {count} files: {advice}",
            index=INDEX,
            path=path,
            count=len(shards),
            advice=Message("download it"),
        )
    if SINGLE in inside or INDEX in inside:
        broken = SINGLE if SINGLE in inside else INDEX
        return InvalidModel(
            "{broken} in {path} is a link to nothing: {advice}",
            broken=broken,
            path=path,
            advice=Message("download it again"),
        )
    if other:
        return InvalidModel(
            "{path} holds {other} and no {single}: if that file is the whole model, name it "
            "{single}",
            path=path,
            other=repr(other[0]),
            single=SINGLE,
        )
    if pickles:
        return InvalidModel(
            "{path} holds its weights as pickles only ({pickles}), which can run code when they "
            "are opened: {advice}",
            path=path,
            pickles=repr(pickles[0]),
            advice=Message("use a version of the model in safetensors"),
        )
    if ggufs:
        return ModelNotFound(
            "{path} holds no safetensors but a GGUF: {advice}",
            path=path,
            advice=Message("name {file}", file=path / ggufs[0]),
        )
    return ModelNotFound(
        "{path} holds no weights (no {single} and no {index}): {advice}",
        path=path,
        single=SINGLE,
        index=INDEX,
        advice=Message("download the whole folder"),
    )
