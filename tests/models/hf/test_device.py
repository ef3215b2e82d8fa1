"""Which device and which numbers are chosen, and what is said of those that are not there."""

import pytest
import torch

from glasschat.errors import ParameterError
from glasschat.models.hf import device as hf_device
from glasschat.models.hf.device import choose_device, choose_dtype, dtype_warning


def machine(
    monkeypatch: pytest.MonkeyPatch, *, gpus: int = 0, cuda: str | None = None, apple: bool = False
) -> None:
    """A machine with so many GPUs, and a torch built for that CUDA."""
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)


@pytest.mark.parametrize(
    ("gpus", "apple", "chosen"),
    [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")],
)
def test_by_itself_the_quickest_device_is_chosen(
    gpus: int, apple: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpus=gpus, cuda="13.0" if gpus else None, apple=apple)
    assert choose_device("auto") == chosen
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("asked", "there", "words"),
    [
        ("cuda", {}, r"torch .* is built without CUDA: install a build with it"),
        ("cuda", {"cuda": "13.0"}, "finds no CUDA driver or no GPU"),
        ("cuda:2", {"cuda": "13.0", "gpus": 2}, "torch sees 2 GPU"),
        ("mps", {}, "sees no Apple GPU"),
        ("tpu", {}, "auto, cpu, cuda, cuda:N or mps"),
        ("cuda:x", {"cuda": "13.0", "gpus": 2}, "auto, cpu, cuda, cuda:N or mps"),
        ("cpu:1", {}, "auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_a_device_that_is_not_there_is_told_with_what_torch_sees(
    asked: str, there: dict[str, int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, **there)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=words):
        choose_device(asked)


def test_a_second_gpu_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpus=2, cuda="13.0")
    assert choose_device("cuda:1") == "cuda:1"


@pytest.mark.parametrize(
    ("device", "stored", "native", "chosen"),
    [
        ("cuda", "bfloat16", True, "bfloat16"),
        ("cuda", "bfloat16", False, "float16"),
        ("cuda", "float16", True, "float16"),
        ("cuda:1", "float32", True, "bfloat16"),
        ("cpu", "bfloat16", True, "bfloat16"),
        ("cpu", "bfloat16", False, "float32"),
        ("cpu", "float16", True, "float32"),
        ("cpu", "float32", True, "float32"),
        ("mps", "bfloat16", True, "bfloat16"),
        ("mps", "float32", True, "float16"),
    ],
)
def test_the_numbers_suit_device_and_weights(
    device: str, stored: str, native: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp16 on a CPU takes six seconds for a prompt that fp32 computes in one."""
    monkeypatch.setattr(hf_device, "cpu_has_bfloat16", lambda: native)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda _emulated: native)
    assert choose_dtype("auto", device, stored) == chosen
    assert choose_dtype("float16", device, stored) == "float16"


def test_numbers_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ParameterError, match="auto, float32, bfloat16, float16"):
        choose_dtype("int8", "cpu", "float32")


def test_a_choice_that_nobody_would_want_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf_device, "cpu_has_bfloat16", lambda: False)
    assert "float16 is several times slower" in (dtype_warning("cpu", "float16") or "")
    assert "bfloat16 by itself" in (dtype_warning("cpu", "bfloat16") or "")
    assert dtype_warning("cpu", "float32") is None
    assert dtype_warning("cuda", "float16") is None
    monkeypatch.setattr(hf_device, "cpu_has_bfloat16", lambda: True)
    assert dtype_warning("cpu", "bfloat16") is None


def test_the_cpu_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "l2": 9})
    assert hf_device.cpu_has_bfloat16()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "l2": 9})
    assert not hf_device.cpu_has_bfloat16()
