"""A folder is known, or refused by name, before a weight of it is read."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from glasschat.errors import InvalidModel, ModelError, ModelNotFound
from glasschat.models.hf.folder import HfFolder, read_folder

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


def weights(layers: int = 2, prefix: str = "model.") -> dict[str, Any]:
    found = {f"{prefix}embed_tokens.weight": np.zeros((11, 8), np.float16)}
    for layer in range(layers):
        for part in "kv":
            name = f"{prefix}layers.{layer}.self_attn.{part}_proj.weight"
            found[name] = np.zeros((4, 8), np.float16)
    return found


def write(path: Path, **documents: Mapping[str, Any]) -> None:
    for name, document in documents.items():
        (path / f"{name}.json").write_text(json.dumps(document))


def shard(path: Path, tensors: Mapping[str, Any], count: int = 2) -> dict[str, str]:
    """Spread `tensors` over files with an index; which is where comes back."""
    files = [f"model-{number + 1:05}-of-{count:05}.safetensors" for number in range(count)]
    where = {name: files[place % count] for place, name in enumerate(tensors)}
    for file in files:
        save_file({n: t for n, t in tensors.items() if where[n] == file}, path / file)
    write(path, **{"model.safetensors.index": {"metadata": {}, "weight_map": where}})
    return where


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "Small-Llama"
    path.mkdir()
    write(path, config=CONFIG)
    save_file(weights(), path / "model.safetensors")
    return path


@pytest.fixture
def sharded(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    shard(folder, weights())
    return folder


def refusal(path: Path, kind: type[ModelError] = InvalidModel) -> str:
    with pytest.raises(kind) as caught:
        read_folder(path)
    message = str(caught.value)
    assert "\n" not in message and ": " in message
    return message


def test_folder_is_what_its_files_say(folder: Path) -> None:
    found = read_folder(folder)
    assert (found.name, found.model_type, found.architecture) == (
        "Small-Llama", "llama", "LlamaForCausalLM",
    )  # fmt: skip
    assert (found.layers, found.vocab_size, found.train_context) == (2, 11, 64)
    assert found.parameters == 11 * 8 + 4 * 4 * 8
    assert (found.weight_bytes, found.dtype) == (found.parameters * 2, "float16")
    assert found.kv_elements_per_token == 2 * 2 * 2 * 2
    assert found.shards == (folder / "model.safetensors",)
    assert found.generation_config == {}


def test_shards_make_the_same_model(sharded: Path, tmp_path: Path) -> None:
    found = read_folder(sharded)
    assert [path.name for path in found.shards] == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ]  # fmt: skip
    assert found.parameters == 11 * 8 + 4 * 4 * 8
    assert len(found.tensors) == 5


def test_llama_3_folder_is_read(llama3_folder: Path) -> None:
    found = read_folder(llama3_folder)
    assert (found.vocab_size, found.dtype, found.train_context) == (128256, "float32", 8192)
    assert found.generation_config["eos_token_id"] == [128001, 128009]
    assert found.kv_elements_per_token == 2 * 2 * 2 * 16


def test_hub_cache_is_read_through_its_links(folder: Path, tmp_path: Path) -> None:
    """There every file is a link to a blob, and the folder's name is a hash."""
    blobs = tmp_path / "models--meta--Small-Llama-3" / "blobs"
    snapshot = blobs.parent / "snapshots" / "0a1b2c"
    snapshot.mkdir(parents=True)
    shutil.move(folder, blobs)
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(Path("..", "..", "blobs", blob.name))
    assert read_folder(snapshot).name == "Small-Llama-3"
    (blobs / "model.safetensors").unlink()
    assert "link to nothing" in refusal(snapshot)


def test_current_folder_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert read_folder(Path()).name == "Small-Llama"


def test_multimodal_config_is_read_at_its_language_model(folder: Path) -> None:
    """Gemma 3's leaves out what its family takes for granted: heads, cache and vocabulary."""
    text = {"hidden_size": 8, "num_hidden_layers": 2}
    write(folder, config={"model_type": "gemma3", "text_config": text})
    vision = {"vision_tower.embeddings.weight": np.zeros((99, 3), np.float16)}
    save_file(weights(prefix="language_model.model.") | vision, folder / "model.safetensors")
    found = read_folder(folder)
    assert (found.layers, found.vocab_size, found.kv_elements_per_token) == (2, 11, 16)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("LlamaConfig", {"num_key_value_heads": 2}),
        ("Qwen3Config", {"num_key_value_heads": 2, "head_dim": 4}),
        ("Gemma2Config", {"num_key_value_heads": 1, "head_dim": 16}),
        ("Phi3Config", {"num_key_value_heads": 2, "pad_token_id": 0}),
        ("GPT2Config", {}),
        ("GPTNeoXConfig", {}),
        ("OPTConfig", {"word_embed_proj_dim": 8}),
        ("FalconConfig", {"multi_query": True, "new_decoder_architecture": False}),
    ],
)
def test_cache_is_as_large_as_transformers_makes_it(
    tmp_path: Path, family: str, options: dict[str, Any]
) -> None:
    """Memory is planned by it, for every way in which families write it down."""
    torch = pytest.importorskip("torch")
    import transformers

    config = getattr(transformers, family)(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=48, **options,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path, max_shard_size="8KB")
    found = read_folder(tmp_path)
    with torch.inference_mode():
        cache = model(torch.zeros((1, 5), dtype=torch.long), use_cache=True).past_key_values
    held = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert found.kv_elements_per_token * 5 == held
    assert (found.layers, found.vocab_size) == (3, 32)
    assert len(found.shards) > 1
    if family != "FalconConfig":  # ALiBi or rotary: it has no longest context
        assert found.train_context == 48
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.weight_bytes == 4 * found.parameters


# What is not there.


def test_what_is_no_model_folder_says_what_to_name(tmp_path: Path) -> None:
    assert "there is no folder" in refusal(tmp_path / "x", ModelNotFound)
    assert "without config.json" in refusal(tmp_path, ModelNotFound)
    (tmp_path / "file").touch()
    assert "not a folder" in refusal(tmp_path / "file", ModelNotFound)
    (tmp_path / "params.json").touch()
    assert "Meta's own format" in refusal(tmp_path, ModelNotFound)
    (tmp_path / "adapter_config.json").touch()
    assert "merge it into its base model" in refusal(tmp_path, ModelNotFound)
    (tmp_path / "x.gguf").touch()
    assert str(tmp_path / "x.gguf") in refusal(tmp_path, ModelNotFound)
    assert "cannot be read" in refusal(Path("a\0b"), ModelNotFound)


def test_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "else.safetensors")
    assert "'else.safetensors'" in refusal(folder)
    (folder / "else.safetensors").unlink()
    assert "holds no weights" in refusal(folder, ModelNotFound)
    (folder / "pytorch_model-00001-of-00002.bin").touch()
    assert "pickles only" in refusal(folder)
    (folder / "model-00001-of-00002.safetensors").touch()
    assert "index.json is missing" in refusal(folder)


def test_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    assert "'model-00002-of-00002.safetensors' is missing" in refusal(sharded)
    (sharded / "model-00001-of-00002.safetensors").unlink()
    assert "and 1 more of 2 files" in refusal(sharded)


def test_shard_cut_off_is_named(sharded: Path) -> None:
    os.truncate(sharded / "model-00002-of-00002.safetensors", 300)
    assert "model-00002-of-00002.safetensors is cut off" in refusal(sharded)


def test_index_of_tensors_that_no_shard_has_is_refused(sharded: Path) -> None:
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.layers.7.x"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    message = refusal(sharded)
    assert "1 tensors that its files do not hold" in message and "model.layers.7.x" in message


@pytest.mark.parametrize(
    "file", ["../model.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", ".safetensors/",
             "model.bin", "a\\b.safetensors", 7, None, "\0.safetensors\n"],
)  # fmt: skip
def test_index_leads_nowhere_else(sharded: Path, file: Any) -> None:
    write(sharded, **{"model.safetensors.index": {"weight_map": {"a": file}}})
    message = refusal(sharded)
    assert "in the folder itself" in message or "is missing" in message


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": 3}])
def test_index_without_a_map_is_refused(sharded: Path, index: dict[str, Any]) -> None:
    write(sharded, **{"model.safetensors.index": index})
    assert "weight_map" in refusal(sharded)


def test_index_that_transformers_cannot_read_says_what_to_add(sharded: Path) -> None:
    """It fails there with no more than KeyError."""
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    write(sharded, **{"model.safetensors.index": {"weight_map": index["weight_map"]}})
    assert 'add "metadata": {}' in refusal(sharded)


# What does not agree.


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"vocab_size": 12}, "vocab_size 12, and the embedding has 11 rows"),
        ({"hidden_size": 16}, "hidden size 16, and the embedding is 8 wide"),
        ({"num_hidden_layers": 3}, "number of layers 3, and there are no weights of layer 2"),
        ({"num_hidden_layers": 1}, "number of layers 1, and there are weights of layer 1"),
    ],
)
def test_config_of_another_model_is_refused(
    folder: Path, changed: dict[str, Any], words: str
) -> None:
    write(folder, config=CONFIG | changed)
    assert words in refusal(folder)


def test_layer_for_training_only_is_no_contradiction(folder: Path) -> None:
    """DeepSeek-V3 and its like store one behind the last."""
    write(folder, config=CONFIG | {"num_hidden_layers": 1, "num_nextn_predict_layers": 1})
    found = read_folder(folder)
    assert (found.layers, found.kv_elements_per_token) == (1, 8)


# What is hostile.


@pytest.mark.parametrize("name", ["config", "generation_config", "tokenizer_config"])
def test_folder_that_wants_its_own_code_run_is_refused(folder: Path, name: str) -> None:
    document = CONFIG if name == "config" else {}
    write(folder, **{name: document | {"auto_map": {"AutoConfig": "evil.Config"}}})
    assert f"{name}.json asks for code of the folder's own" in refusal(folder)
    write(folder, **{name: document | {"a": [{"text_config": {"auto_map": {"x": "y.Z"}}}]}})
    assert f"{name}.json asks for code of the folder's own" in refusal(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"attn_implementation": "evil/kernel"},
        {"_attn_implementation": "evil/kernel:attention"},
        {"text_config": {"_attn_implementation_internal": "evil/kernel"}},
        {"attn_implementation": {"text_config": "evil/kernel"}},
        {"experts_implementation": "evil/kernel"},
    ],
)
def test_config_that_wants_another_repositorys_code_run_is_refused(
    folder: Path, entry: dict[str, Any]
) -> None:
    write(folder, config=CONFIG | entry)
    assert "code of another repository" in refusal(folder)
    write(folder, config=CONFIG | {"attn_implementation": "sdpa"})
    assert isinstance(read_folder(folder), HfFolder)


def test_what_transformers_would_load_in_place_is_refused(folder: Path) -> None:
    """An adapter's base model, or a file of weights that was not looked at."""
    write(folder, config=CONFIG | {"transformers_weights": "x.safetensors"})
    assert "transformers_weights" in refusal(folder)
    write(folder, config=CONFIG, adapter_config={"base_model_name_or_path": "/tmp/evil"})
    assert "adapter" in refusal(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"is_encoder_decoder": True},
        {"text_config": {"is_encoder_decoder": True}},
        {"encoder": {}, "decoder": {}},
    ],
)
def test_encoder_decoder_is_refused(folder: Path, config: dict[str, Any]) -> None:
    write(folder, config=CONFIG | config)
    assert "encoder-decoder ('llama')" in refusal(folder)


@pytest.mark.parametrize(
    "value",
    [-1, 0, 1.5, True, "2", [2], {}, 1 << 40, "\n" * 900],
    ids=lambda value: repr(value)[:9],
)
@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_number_that_no_model_has_is_refused(folder: Path, key: str, value: Any) -> None:
    write(folder, config=CONFIG | {key: value})
    assert f"claims {key}" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[]", "JSON list"),
        ("null", "JSON NoneType"),
        ("{" * 5000, "not valid JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"vocab_size": ' + "9" * 5000 + "}", "not valid JSON"),
        ("\ufeff{}", "not valid JSON"),
        (" " * (5 << 20), "at most 4,194,304 are read"),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_json_that_is_none_is_refused(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text)
    message = refusal(folder)
    assert message.startswith(name) and words in message


def test_config_that_is_no_text_or_no_file_is_refused(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe{}")
    assert "not text in UTF-8" in refusal(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert "not a regular file" in refusal(folder)
