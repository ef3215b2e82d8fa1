"""Loading a folder's weights: all of them, the right ones, and numbers."""

import gc
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from glasschat.errors import InvalidModel, NotEnoughMemory
from glasschat.models.hf.folder import read_folder
from glasschat.models.hf.weights import load_weights
from tests.support.hf_families import stock

Tensors = dict[str, torch.Tensor]


def folder(path: Path, kind: str = "llama", *, shard_size: str = "1GB", **changes: Any) -> Path:
    """A tiny model of the family, as transformers saves it."""
    stock(kind, **changes).save_pretrained(path, max_shard_size=shard_size)
    return path


def changed(path: Path, change: Callable[[Tensors], None]) -> Path:
    """The folder with its one file of weights changed."""
    file = path / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return path


def load(path: Path, dtype: str = "float32", **options: Any) -> Any:
    return load_weights(read_folder(path), device="cpu", dtype=dtype, **options)


@pytest.mark.parametrize(
    ("kind", "shard_size", "changes"),
    [
        ("llama", "1GB", {}),
        ("llama", "20KB", {}),
        ("llama", "1GB", {"tie_word_embeddings": True}),
        ("mixtral", "1GB", {}),
        ("gpt2", "1GB", {}),
        ("gemma3", "1GB", {}),
    ],
    ids=["one file", "shards", "tied", "experts", "gpt2", "with eyes"],
)
def test_a_loaded_model_is_the_saved_one(
    kind: str, shard_size: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    path = folder(tmp_path, kind, shard_size=shard_size, **changes)
    assert shard_size == "1GB" or len(list(path.glob("*.safetensors"))) > 3
    shares: list[float] = []
    module = load(path, progress=shares.append)
    assert not module.training
    assert not any(weights.requires_grad for weights in module.parameters())
    ids = torch.tensor([[5, 9, 3]])
    with torch.inference_mode():
        expected = stock(kind, **changes)(input_ids=ids).logits
        assert torch.allclose(module(input_ids=ids).logits, expected, atol=1e-5)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5
    assert shares[-1] == 1.0


def test_the_dtype_is_what_was_asked_for(tmp_path: Path) -> None:
    module = load(folder(tmp_path), "bfloat16")
    assert {weights.dtype for weights in module.parameters()} == {torch.bfloat16}


def test_nothing_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """transformers draws a bar and a table; the page and the command line have their own."""
    path = folder(tmp_path)
    capfd.readouterr()
    verbosity = transformers_logging.get_verbosity()
    load(path)
    assert capfd.readouterr() == ("", "")
    assert transformers_logging.get_verbosity() == verbosity
    assert transformers_logging.set_tqdm_hook(None) is None


def test_a_weight_that_is_missing_is_named(tmp_path: Path) -> None:
    """transformers would draw random numbers for it, and say so in a log."""

    def drop(tensors: Tensors) -> None:
        del tensors["model.layers.1.mlp.up_proj.weight"]
        del tensors["model.norm.weight"]

    path = changed(folder(tmp_path), drop)
    with pytest.raises(InvalidModel, match=r"lacks .*\(model\.layers\.1\.mlp\.up_proj\.weight, mo"):
        load(path)


def test_a_weight_that_is_left_over_is_named(tmp_path: Path) -> None:
    """It may be what makes the model what it is, such as a bias that config.json forgot."""

    def add(tensors: Tensors) -> None:
        for layer in range(4):
            tensors[f"model.layers.{layer}.self_attn.q_proj.bias"] = torch.ones(32)

    path = changed(folder(tmp_path), add)
    with pytest.raises(InvalidModel, match=r"no place for \(model\.layers\.0\..* and 1 more"):
        load(path)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq"),
        ("gpt2", "transformer.h.0.attn.bias"),
        ("gpt2", "transformer.h.1.attn.masked_bias"),
    ],
)
def test_what_old_checkpoints_carry_along_is_passed_over(
    kind: str, name: str, tmp_path: Path
) -> None:
    path = changed(folder(tmp_path, kind), lambda tensors: tensors.update({name: torch.ones(4)}))
    load(path)


def test_a_weight_of_another_shape_is_named_with_both(tmp_path: Path) -> None:
    name = "model.layers.2.mlp.down_proj.weight"
    path = changed(folder(tmp_path), lambda tensors: tensors.update({name: torch.ones(32, 47)}))
    words = r"another shape .*down_proj\.weight is \(32, 47\) and not \(32, 48\)"
    with pytest.raises(InvalidModel, match=words):
        load(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_weight_that_is_no_number_is_named(number: float, dtype: str, tmp_path: Path) -> None:
    """One such number makes every reply nonsense, and nothing else would show it."""

    def spoil(tensors: Tensors) -> None:
        tensors["model.layers.3.mlp.gate_proj.weight"][7, 7] = number

    path = changed(folder(tmp_path), spoil)
    with pytest.raises(InvalidModel, match=r"damaged: model\.layers\.3\.mlp\.gate_proj\.weight"):
        load(path, dtype)


def test_an_unknown_architecture_is_told_with_the_version(tmp_path: Path) -> None:
    path = folder(tmp_path)
    config = json.loads((path / "config.json").read_text())
    config |= {"model_type": "llama99", "architectures": ["Llama99ForCausalLM"]}
    (path / "config.json").write_text(json.dumps(config))
    words = rf"unknown architecture \(llama99\): transformers {transformers.__version__}"
    with pytest.raises(InvalidModel, match=words):
        load(path)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            {"rms_norm_eps": "small"},
            r"config\.json .*'rms_norm_eps' expected float, got str .*: corr",
        ),
        (
            {"num_attention_heads": 7},
            r"config\.json .*not a multiple of the number .*: correct that",
        ),
        ({"layer_types": 5}, r"config\.json .*'int' object is not iterable\): correct that entry"),
        ({"hidden_act": "swash"}, r"cannot load .*'swash'\): look that up in its config\.json"),
        ({"intermediate_size": -4}, r"cannot load .*dimension -4.*\): look that up in its config"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_an_entry_that_makes_no_sense_is_named_with_the_way_out(
    entry: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = folder(tmp_path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | entry))
    with pytest.raises(InvalidModel, match=says) as raised:
        load(path)
    assert len(str(raised.value).splitlines()) == 1


def test_out_of_memory_while_loading_gives_back_what_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path)
    held: list[weakref.ref[Any]] = []

    def too_much(weights: Any) -> Any:
        held.append(weakref.ref(weights))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch, "aminmax", too_much)
    with pytest.raises(NotEnoughMemory, match="cpu has not enough memory for the 41,248 param"):
        load(path)
    gc.collect()
    assert [ref() for ref in held] == [None]


class Enough(Exception):
    """What a page raises to stop a loading."""


@pytest.mark.parametrize("share", [0.1, 0.97])
def test_whatever_the_listener_raises_ends_the_loading(share: float, tmp_path: Path) -> None:
    def listen(done: float) -> None:
        if done >= share:
            raise Enough

    path = folder(tmp_path)
    with pytest.raises(Enough):
        load(path, progress=listen)
    load(path)
