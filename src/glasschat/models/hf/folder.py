"""A model folder in Hugging Face format: facts about the model, and whether it is complete.

Reads JSON and the headers of safetensors files; no weights, no torch, none of the folder's own
code. Links are followed: the hub's cache consists of them.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glasschat.errors import ModelNotFound
from glasschat.messages import Message
from glasschat.models.hf import config_json
from glasschat.models.hf.bounded_json import read_object
from glasschat.models.hf.safetensors import TensorEntry
from glasschat.models.hf.shards import (
    check_weights,
    embedding_of,
    find_shards,
    layers_of,
    read_tensors,
)

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"


@dataclass(frozen=True, slots=True)
class HfFolder:
    """Contents of a model folder.

    `generation_config` is empty when the folder has none. `tensors` are by name; `shards` are the
    files that they are in.
    """

    path: Path
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tensors: Mapping[str, TensorEntry]
    shards: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Return the folder's name, or the repository's in the hub's cache."""
        return folder_name(self.path)

    @property
    def model_type(self) -> str:
        """Return the family as transformers names it, such as `llama`; empty if not stated."""
        return _text(self.config.get("model_type"))

    @property
    def architecture(self) -> str:
        """Return the model's class, such as `LlamaForCausalLM`; empty if it is not stated."""
        found = self.config.get("architectures")
        return _text(found[0]) if isinstance(found, list) and found else ""

    @property
    def parameters(self) -> int:
        """Return how many numbers the weights are."""
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def weight_bytes(self) -> int:
        """Return how many bytes the weights take as stored."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def dtype(self) -> str:
        """Return the type of most of the weights, by torch's name, such as `bfloat16`."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors.values():
            sizes[tensor.dtype] += tensor.bytes
        return max(sizes, key=lambda dtype: sizes[dtype], default="unknown")

    @property
    def train_context(self) -> int:
        """Return the longest context the model was made for, in tokens; 0 if it is not stated."""
        return config_json.number(self.config, "context")

    @property
    def vocab_size(self) -> int:
        """Return how many tokens have an embedding: the length of a row of logits."""
        embedding = embedding_of(self.tensors)
        return embedding[1].shape[0] if embedding else config_json.number(self.config, "vocab")

    @property
    def layers(self) -> int:
        """Return how many layers the language model has."""
        return config_json.number(self.config, "layers") or len(self._widths())

    @property
    def kv_elements_per_token(self) -> int:
        """Return how many numbers the KV cache holds for one position, over all layers.

        An upper bound where layers share their cache or attend to a window only. By the weights
        where they show it: a config.json may leave out what its family takes for granted.
        """
        layers = self.layers
        widths = [width for layer, width in self._widths().items() if layer < layers]
        if all(widths) and len(widths) == layers:
            return sum(widths)
        width = config_json.kv_heads(self.config) * config_json.head_dim(self.config)
        return 2 * layers * width

    def _widths(self) -> dict[int, int]:
        """Return the width of keys and values of each layer, by the weights."""
        embedding = embedding_of(self.tensors)
        return layers_of(self.tensors, embedding[0]) if embedding else {}


def read_folder(path: Path | str) -> HfFolder:
    """Read the facts of the model folder at `path`, and check that it is complete.

    Takes milliseconds. Raises ModelNotFound where there is no model folder or no weights that can
    be read, InvalidModel for one that is damaged, cut off, contradicts itself, wants code of its
    own to be run, or is of a kind that cannot chat.
    """
    path = Path(path)
    inside = _names_in(path)
    config = read_object(path / CONFIG)
    if config is None:
        raise _no_config(path, inside)
    generation_config = read_object(path / GENERATION_CONFIG) or {}
    tokenizer_config = read_object(path / TOKENIZER_CONFIG) or {}
    config_json.check_no_code(config, CONFIG)
    config_json.check_no_code(generation_config, GENERATION_CONFIG)
    config_json.check_no_code(tokenizer_config, TOKENIZER_CONFIG)
    name = folder_name(path)
    config_json.check_kind(config, name)
    config_json.check_numbers(config)
    shards, index = find_shards(path, inside, config)
    tensors = read_tensors(shards, index)
    check_weights(config, tensors, name)
    return HfFolder(path, config, generation_config, tensors, shards)


def folder_name(path: Path) -> str:
    """Return what a user calls the model in the folder at `path`."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would leave a link's name)
    repository = whole.parent.parent.name.split("--")
    if whole.parent.name == "snapshots" and repository[0] == "models" and len(repository) > 1:
        return repository[-1]
    return whole.name


def _names_in(path: Path) -> list[str]:
    """Return the sorted names in the folder. Raises ModelNotFound."""
    try:
        return sorted(entry.name for entry in path.iterdir())
    except FileNotFoundError:
        raise ModelNotFound(
            "there is no folder {path}: {advice}", path=path, advice=Message("check the path")
        ) from None
    except NotADirectoryError:
        raise ModelNotFound(
            "{path} is not a folder: {advice}",
            path=path,
            advice=Message("name the one that holds {config}", config=CONFIG),
        ) from None
    except (OSError, ValueError) as error:
        raise ModelNotFound(
            "{path} cannot be read: {error}", path=repr(str(path)), error=error
        ) from None


def _no_config(path: Path, inside: list[str]) -> ModelNotFound:
    """Return the error for a folder without config.json."""
    ggufs = [name for name in inside if name.endswith(".gguf")]
    if ggufs:
        return ModelNotFound(
            "{path} is a folder without {config}, and a GGUF is named by its file: {advice}",
            path=path,
            config=CONFIG,
            advice=Message("name {file}", file=path / ggufs[0]),
        )
    if "adapter_config.json" in inside:
        return ModelNotFound(
            "{path} holds an adapter and no model: {advice}",
            path=path,
            advice=Message("merge it into its base model and name the folder of the result"),
        )
    if "params.json" in inside:
        return ModelNotFound(
            "{path} is in Meta's own format (params.json): {advice}",
            path=path,
            advice=Message(
                "name the folder in Hugging Face format, which holds {config}", config=CONFIG
            ),
        )
    return ModelNotFound(
        "{path} is a folder without {config}: {advice}",
        path=path,
        config=CONFIG,
        advice=Message("name a model folder in Hugging Face format, or a .gguf file"),
    )


def _text(value: Any) -> str:
    """Return `value` if it is text; empty otherwise."""
    return value if isinstance(value, str) else ""
