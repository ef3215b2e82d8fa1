"""The header of a safetensors file says what is in it, and nothing in it is believed."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.models.hf.safetensors import HEADER_BYTES, TensorEntry, read_safetensors


def file_of(header: Any, data: int, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(data)


def entry(dtype: Any, shape: Any, set_slot_mapping: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [set_slot_mapping, end]}


GOOD = {
    "__metadata__": {"format": "pt"},
    "b": entry("BF16", [2, 3], 0, 12),
    "a": entry("F32", [], 12, 16),
    "empty": entry("I64", [0, 5], 16, 16),
}


def read(folder: Path, data: bytes) -> dict[str, TensorEntry]:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return read_safetensors(path)


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(InvalidModel) as caught:
        read(folder, data)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("model.safetensors") and len(message) < 400
    return message


def test_same_as_safetensors_own_reader_says(tmp_path: Path) -> None:
    kinds = ["float32", "float16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
    arrays = {kind: np.zeros((3, index + 1), dtype=kind) for index, kind in enumerate(kinds)}
    save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "np"})
    found = read_safetensors(tmp_path / "x.safetensors")
    assert {name: (t.dtype, t.shape, t.bytes) for name, t in found.items()} == {
        name: (name, array.shape, array.nbytes) for name, array in arrays.items()
    }
    assert {tensor.file for tensor in found.values()} == {"x.safetensors"}


def test_whole_file_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, file_of(GOOD, 16))
    assert found == {
        "b": TensorEntry("bfloat16", (2, 3), "model.safetensors"),
        "a": TensorEntry("float32", (), "model.safetensors"),
        "empty": TensorEntry("int64", (0, 5), "model.safetensors"),
    }


def test_file_cut_off_anywhere_is_told_so(tmp_path: Path) -> None:
    whole = file_of(GOOD, 16)
    for length in range(len(whole)):
        assert "cut off" in refusal(tmp_path, whole[:length])
    assert f"has {len(whole) - 1:,} bytes and needs {len(whole):,}" in refusal(tmp_path, whole[:-1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>Sign in</html>" * 9, "is not a safetensors file"),
        (b"PK\x03\x04" + bytes(400), "is not a safetensors file"),
        (file_of(b"[1]", 0), "is not a safetensors file"),
        (file_of(GOOD, 17), "its tensors end at"),
        (file_of(b"{", 0, 1), "is not a safetensors file"),
        (file_of(b'{"a": nul}', 0), "not valid JSON"),
        (file_of(b'{"a": "\xff"}', 0), "not text in UTF-8"),
        (file_of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 0), "nested too deep"),
        (file_of(b'{"a":' + b"9" * 10_000 + b"}", 0), "not valid JSON"),
        (file_of(GOOD, 16, 1 << 62), "is not a safetensors file"),
        (file_of({"__metadata__": {"format": 1}}, 0), "__metadata__"),
        (file_of({"a": 1}, 0), "without type, shape and place"),
        (file_of({"a": {"dtype": "F32", "shape": [1]}}, 4), "without type, shape and place"),
        (file_of({"a": entry("Q4_K", [1], 0, 1)}, 1), "unknown type 'Q4_K'"),
        (file_of({"a": entry([], [1], 0, 1)}, 1), "without type, shape and place"),
        (file_of({"a": entry("F32", [-1], 0, 4)}, 4), "of shape [-1]"),
        (file_of({"a": entry("F32", [True], 0, 4)}, 4), "of shape [True]"),
        (file_of({"a": entry("F32", [1.0], 0, 4)}, 4), "of shape [1.0]"),
        (file_of({"a": entry("F32", {"1": 1}, 0, 4)}, 4), "of shape"),
        (file_of({"a": entry("F32", [1] * 17, 0, 4)}, 4), "of shape"),
        (file_of({"a": entry("F32", [1 << 59, 1 << 59], 0, 4)}, 4), "in 4 bytes"),
        (file_of({"a": entry("F32", [2], 0, 4)}, 4), "in 4 bytes"),
        (file_of({"a": entry("F32", [1], 4, 0)}, 4), "in -4 bytes"),
        (file_of({"a": entry("F32", [1], 4, 8)}, 8), "at byte 4, where 0 is due"),
        (
            file_of({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 0, 4)}, 4),
            "at byte 0, where 4 is due",
        ),
        (file_of({"a\n\x1b[2J" * 30: entry("F32", [2], 0, 4)}, 4), "a tensor 'a\\n\\x1b[2J"),
    ],
)
def test_nonsense_is_refused_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in refusal(tmp_path, data)


def test_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", HEADER_BYTES + 1) + b"{")
    os.truncate(path, 40 << 30)
    with pytest.raises(InvalidModel, match="is not a safetensors file"):
        read_safetensors(path)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(InvalidModel, match="not a regular file"):
        read_safetensors(tmp_path / "model.safetensors")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="cannot be read"):
        read_safetensors(tmp_path / "model.safetensors")


@given(st.data())
def test_whatever_is_accepted_is_accepted_by_safetensors_too(data: st.DataObject) -> None:
    """A header with a few bytes changed: nothing gets past that would fail while loading."""
    whole = bytearray(file_of(GOOD, 16))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(whole) - 17))
        whole[place] = data.draw(st.sampled_from(b'0123456789[]{},:"-. abFI\x00\xff'))
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"glasschat-test-{os.getpid()}.safetensors"
    path.write_bytes(whole)
    try:
        ours = read_safetensors(path)
        with safe_open(path, framework="np") as theirs:
            assert set(theirs.keys()) == set(ours)
            for name, tensor in ours.items():
                assert tuple(theirs.get_slice(name).get_shape()) == tensor.shape
    except InvalidModel:
        pass
    except SafetensorError as error:
        pytest.fail(f"safetensors does not take what was accepted: {error}")
    finally:
        path.unlink()
