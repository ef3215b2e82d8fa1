"""Weights are looked at where gguf-py, and the safetensors format, say that numbers are."""

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from glasschat.doctor import Mark
from glasschat.doctor.checks.weights import _SCALES, PLACE_BYTES, weights
from glasschat.doctor.metadata import ModelMetadata, TensorLocation
from glasschat.models.gguf.types import TENSOR_TYPES

_BLOCKS = {name: (elements, size) for name, elements, size in TENSOR_TYPES.values()}
NOT_A_NUMBER = np.array([np.nan], dtype="<f2").tobytes()


def looked_at(path: Path, *tensors: tuple[str, str, bytes]) -> Any:
    """The finding on a file that holds these tensors: name, type, data."""
    places, data = [], b""
    for name, kind, content in tensors:
        places.append(TensorLocation(name, kind, (2, 2), path, len(data), len(content)))
        data += content
    path.write_bytes(data)
    (finding,) = weights(ModelMetadata(kind="GGUF", path=path, name="x", tensors=tuple(places)))
    return finding


def sound(kind: str, blocks: int) -> bytearray:
    """So many blocks with scales of one."""
    block = bytearray(b"\x01" * _BLOCKS[kind][1])
    for at in _SCALES[kind]:
        block[at : at + 2] = np.array([1], dtype="<f2").tobytes()
    return bytearray(block * blocks)


@pytest.mark.parametrize("kind", sorted(_SCALES))
def test_scales_lie_where_gguf_py_finds_them(kind: str, tmp_path: Path) -> None:
    """A scale that is no number makes numbers of the block that are none, and is seen."""
    quantized = getattr(gguf.GGMLQuantizationType, kind)
    data = sound(kind, 4)
    assert np.isfinite(gguf.quants.dequantize(as_rows(data, kind), quantized)).all()
    assert looked_at(tmp_path / "sound", ("a", kind, bytes(data))).mark is Mark.PASS
    for at in _SCALES[kind]:
        spoiled = data[:]
        place = 3 * _BLOCKS[kind][1] + at
        spoiled[place : place + 2] = NOT_A_NUMBER
        assert not np.isfinite(gguf.quants.dequantize(as_rows(spoiled, kind), quantized)).all()
        finding = looked_at(tmp_path / "spoiled", ("a", kind, bytes(spoiled)))
        assert finding.mark is Mark.FAIL and finding.details["broken"] == ["a"]


def as_rows(data: bytearray, kind: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(bytes(data), dtype=np.uint8).reshape(-1, _BLOCKS[kind][1])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["F16", "BF16", "F32", "F64"])
def test_floats_that_are_none(kind: str, value: float, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    types = {
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "F32": torch.float32,
        "F64": torch.float64,
    }
    numbers = torch.linspace(-3, 3, 100).to(types[kind])
    whole = bytes(numbers.untyped_storage())
    numbers[99] = value
    broken = bytes(numbers.untyped_storage())
    finding = looked_at(tmp_path / "x", ("fine", kind, whole), ("odd", kind, broken))
    assert finding.mark is Mark.FAIL and finding.details["broken"] == ["odd"]


def test_zeros_are_judged_by_where_they_are(tmp_path: Path) -> None:
    """A matrix of zeros among many may be meant; zeros to the end are a download with a hole."""
    full, empty = ("full", "F32", b"\x00\x00\x80\x3f" * 64), ("empty", "F32", bytes(256))
    among = [full] * 15 + [empty] + [full] * 15
    assert looked_at(tmp_path / "x", *among).mark is Mark.WARN
    assert looked_at(tmp_path / "x", *[full] * 30, empty).mark is Mark.FAIL
    assert looked_at(tmp_path / "x", *[full] * 30).mark is Mark.PASS
    assert looked_at(tmp_path / "x", *[empty, full] * 10).mark is Mark.FAIL


def test_both_ends_of_a_large_tensor_are_looked_at(tmp_path: Path) -> None:
    numbers = np.ones(40 * PLACE_BYTES // 4, dtype=np.float32)
    for place in (0, -1):
        spoiled = numbers.copy()
        spoiled[place] = np.nan
        finding = looked_at(tmp_path / "x", ("a", "F32", spoiled.tobytes()))
        assert finding.mark is Mark.FAIL
    assert finding.details["bytes_read"] < numbers.nbytes
