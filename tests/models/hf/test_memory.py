"""What a folder needs, counted before it is loaded, against what its module then takes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from glasschat.errors import NotEnoughMemory
from glasschat.models.hf import memory
from glasschat.models.hf.folder import read_folder
from glasschat.models.hf.memory import hf_memory_need
from glasschat.models.hf.runner import HfRunner
from glasschat.models.hf.weights import load_weights
from glasschat.models.memory import check_memory
from tests.support.hf_families import stock

GIB = 2**30


@pytest.mark.parametrize("kind", ["llama", "gemma3", "gemma4", "gpt2", "gpt_bigcode"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_and_cache_are_what_was_counted(kind: str, dtype: str, tmp_path: Path) -> None:
    heads = {"num_key_value_heads": 4} if kind == "gpt2" else {}
    stock(kind, **heads).save_pretrained(tmp_path)
    folder = read_folder(tmp_path)
    need = hf_memory_need(folder, context=64, slots=3, device="cpu", dtype=dtype)
    module: Any = load_weights(folder, device="cpu", dtype=dtype)
    stored = {tensor.data_ptr(): tensor.numel() for tensor in module.state_dict().values()}
    assert need.weights == sum(stored.values()) * module.dtype.itemsize
    runner = HfRunner(module, slots=3, context=64, device="cpu")
    assert need.cache == runner.cache_bytes


@pytest.mark.parametrize("kind", ["deepseek_v3", "minicpm3"])
def test_latent_attention_is_counted_by_its_own_widths(kind: str, tmp_path: Path) -> None:
    stock(kind).save_pretrained(tmp_path)
    need = hf_memory_need(read_folder(tmp_path), context=64, slots=1, device="cpu", dtype="float32")
    runner = HfRunner(stock(kind), slots=1, context=64, device="cpu")
    assert need.cache == runner.cache_bytes


def test_a_gpus_memory_is_asked_of_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock("llama").save_pretrained(tmp_path)
    asked: list[str] = []

    def free(device: str) -> tuple[int, int]:
        asked.append(device)
        return GIB, 8 * GIB

    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    need = hf_memory_need(
        read_folder(tmp_path), context=8192, slots=64, device="cuda:1", dtype="bfloat16"
    )
    assert asked == ["cuda:1"]
    assert need.available == GIB
    with pytest.raises(NotEnoughMemory, match=r"1\.0 GiB are free on cuda:1: no context would fit"):
        check_memory(need, "Tiny")


def test_settings_that_would_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock("llama").save_pretrained(tmp_path)
    folder = read_folder(tmp_path)

    def need(slots: int, context: int) -> Any:
        return hf_memory_need(folder, context=context, slots=slots, device="cpu", dtype="float32")

    there = need(2, 4096).total
    monkeypatch.setattr(memory, "available_bytes", lambda: there)
    check_memory(need(2, 4096), "Tiny")
    with pytest.raises(NotEnoughMemory, match="--slots 1 --context 4096 would fit"):
        check_memory(need(40, 4096), "Tiny")
