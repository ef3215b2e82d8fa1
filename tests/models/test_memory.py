"""What a container may use is what it is given, and files that were read do not count as used."""

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from glasschat.config import ModelOptions
from glasschat.errors import NotEnoughMemory
from glasschat.models.llama_cpp.library import llama_cpp
from glasschat.models.load import plan_model
from glasschat.models.memory import available_bytes, quota_cores, usable_cores

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 GiB free and 16 cores."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64 * GIB))
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)), raising=False)


def container(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def memory(limit: int, used: int, stat: str) -> dict[str, str]:
    return {"memory_max": f"{limit}\n", "memory_current": f"{used}\n", "memory_stat": stat}


@pytest.mark.parametrize(
    ("files", "available"),
    [
        ({}, 64 * GIB),
        ({"memory_max": "max\n", "memory_current": "1\n"}, 64 * GIB),
        ({"memory_max": f"{8 * GIB}\n", "memory_current": f"{7 * GIB}\n"}, GIB),
        (memory(8 * GIB, 7 * GIB, f"anon {GIB}\ninactive_file {GIB}\nactive_file {4 * GIB}\n"),
         6 * GIB),
        (memory(8 * GIB, 7 * GIB, f"inactive_file {9 * GIB}\n"), 8 * GIB),
        (memory(8 * GIB, 7 * GIB, "inactive_file lots\n"), GIB),
        (memory(8 * GIB, 9 * GIB, "anon 1\n"), 0),
        (memory(128 * GIB, GIB, "anon 1\n"), 64 * GIB),
    ],
)  # fmt: skip
def test_available_memory_of_a_container(
    files: dict[str, str], available: int, tmp_path: Path
) -> None:
    assert available_bytes(container(tmp_path, **files)) == available


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", 16),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("9900000 100000\n", 16),
        ("", 16),
        ("1 0\n", 16),
    ],
)
def test_usable_cores_of_a_container(quota: str, cores: int, tmp_path: Path) -> None:
    assert usable_cores(container(tmp_path, cpu_max=quota)) == cores


def test_without_a_container_there_is_no_quota(tmp_path: Path) -> None:
    assert quota_cores(tmp_path) is None
    assert usable_cores(tmp_path) == 16


@pytest.mark.parametrize("layers", [0, 1, 29])
def test_a_model_that_stays_in_main_memory_in_part_must_fit_there(
    layers: int, monkeypatch: pytest.MonkeyPatch, builtin_model_path: Path
) -> None:
    monkeypatch.setattr(llama_cpp, "llama_supports_gpu_offload", lambda: True)
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: 50 * 2**20)
    with pytest.raises(NotEnoughMemory):
        plan_model(ModelOptions(path=builtin_model_path, gpu_layers=layers))


@pytest.mark.parametrize("layers", [30, 99, None])
def test_a_model_that_is_all_on_the_gpu_is_not_measured_against_main_memory(
    layers: int | None, monkeypatch: pytest.MonkeyPatch, builtin_model_path: Path
) -> None:
    monkeypatch.setattr(llama_cpp, "llama_supports_gpu_offload", lambda: True)
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: 50 * 2**20)
    plan = plan_model(ModelOptions(path=builtin_model_path, gpu_layers=layers))
    assert plan.gpu_layers >= 30
