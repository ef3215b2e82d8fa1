"""A file that is not whole is found out from its header, in one line, before llama.cpp sees it."""

import re
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.errors import InvalidModel, ModelError, ModelNotFound
from glasschat.models.gguf.header import GgufHeader, read_header
from glasschat.models.gguf.reader import GgufArray
from tests.support import ggufs
from tests.support.examples import examples


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(key: str, kind: int, data: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + data


def u32(key: str, value: int) -> bytes:
    return field(key, 4, struct.pack("<I", value))


def array(key: str, kind: int, count: int, data: bytes) -> bytes:
    return field(key, 9, struct.pack("<IQ", kind, count) + data)


def tensor(name: str, shape: list[int], kind: int, offset: int) -> bytes:
    shape_bytes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + shape_bytes + struct.pack("<IQ", kind, offset)


def gguf(
    fields: list[bytes],
    tensors: Sequence[bytes] = (),
    data: int = 0,
    version: int = 3,
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields))
    head += b"".join(fields) + b"".join(tensors)
    return head + bytes(-len(head) % 32 + data if tensors else 0)


LLAMA = [
    field("general.architecture", 8, text("llama")),
    u32("general.file_type", 15),
    u32("llama.block_count", 4),
    u32("llama.context_length", 2048),
    u32("llama.embedding_length", 64),
    u32("llama.attention.head_count", 8),
    u32("llama.attention.head_count_kv", 2),
]
WHOLE = gguf(
    [*LLAMA, array("tokenizer.ggml.tokens", 8, 1100, text("ab") * 1100),
     array("x.scores", 6, 1100, bytes(4400)), u32("general.alignment", 32)],
    [tensor("a", [32, 4], 0, 0), tensor("b", [64, 2], 2, 512)],
    data=512 + 72,
)  # fmt: skip


def header_of(tmp_path: Path, data: bytes) -> GgufHeader:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return read_header(path)


def refusal(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(InvalidModel) as caught:
        header_of(tmp_path, data)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("model.gguf ")
    return message


def test_builtin_model_is_read_whole(builtin_model_path: Path) -> None:
    header = read_header(builtin_model_path)
    assert (header.architecture, header.quantization, header.version) == ("llama", "Q4_1", 3)
    assert (header.train_context, header.vocab_size) == (8192, 49152)
    assert header.parameters == 134_515_008
    assert header.needed_bytes == header.file_bytes == builtin_model_path.stat().st_size
    assert header.kv_bytes_per_token == 30 * 3 * (64 + 64) * 2
    assert header.metadata["tokenizer.ggml.merges"] == GgufArray(48900)


def test_header_of_a_large_vocabulary_is_quick(tmp_path: Path) -> None:
    tokens = b"".join(text(f"token{index}") for index in range(128_256))
    merges = b"".join(text(f"a{index} b{index}") for index in range(280_000))
    data = gguf([*LLAMA, array("t", 8, 128_256, tokens), array("m", 8, 280_000, merges)])
    start = time.monotonic()
    header_of(tmp_path, data)
    # 0.05 s on two cores; gguf-py's reader takes 9.
    assert time.monotonic() - start < 1


def test_arrays_are_read_on_request(builtin_model_path: Path) -> None:
    tokens = read_header(builtin_model_path, ["tokenizer.ggml.tokens"]).metadata[
        "tokenizer.ggml.tokens"
    ]
    assert isinstance(tokens, tuple)
    assert tokens[:2] == ("<|endoftext|>", "<|im_start|>")


def test_same_as_gguf_py_says(tmp_path: Path) -> None:
    path = ggufs.sentencepiece(tmp_path / "x.gguf", {"<s>": 3, "</s>": 3}, "{{ template }}")
    header = read_header(path)
    assert header.metadata["tokenizer.chat_template"] == "{{ template }}"
    assert header.vocab_size == len(read_header(path, ["tokenizer.ggml.tokens"]).metadata[
        "tokenizer.ggml.tokens"
    ])  # type: ignore[arg-type]  # fmt: skip


def test_made_file_is_whole(tmp_path: Path) -> None:
    header = header_of(tmp_path, WHOLE)
    assert header.needed_bytes == header.file_bytes == len(WHOLE)
    assert header.parameters == 256
    assert header.quantization == "Q4_K_M"


@given(st.data())
@settings(max_examples=examples(150))
def test_file_cut_anywhere_says_so(
    tmp_path_factory: pytest.TempPathFactory, builtin_model_path: Path, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "model.gguf"
    real = data.draw(st.booleans())
    if real:
        with builtin_model_path.open("rb") as file:
            source, size = file.read(2_000_000), 98_362_432
    else:
        source, size = WHOLE, len(WHOLE)
    length = data.draw(st.integers(0, len(source) - 1))
    path.write_bytes(source[:length])
    with pytest.raises(InvalidModel, match=r"cut off|empty") as caught:
        read_header(path)
    there, needed = re.search(r"has ([\d,]+) bytes and needs (?:at least )?([\d,]+)", str(
        caught.value
    )).groups()  # type: ignore[union-attr]  # fmt: skip
    assert int(there.replace(",", "")) == length
    assert length < int(needed.replace(",", "")) <= size


def test_every_length_of_a_small_file_is_cut_off(tmp_path: Path) -> None:
    small = gguf(LLAMA, [tensor("a", [32, 4], 0, 0)], data=512)
    for length in range(len(small)):
        assert re.search("cut off|empty", refusal(tmp_path, small[:length]))
    assert header_of(tmp_path, small).needed_bytes == len(small)


@given(st.data())
@settings(max_examples=examples(400))
def test_one_wrong_byte_is_a_model_error_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, builtin_model_path: Path, data: st.DataObject
) -> None:
    if data.draw(st.booleans()):
        with builtin_model_path.open("rb") as file:
            source = bytearray(file.read(1_785_664))
    else:
        source = bytearray(WHOLE)
    place = data.draw(st.integers(0, 1500) | st.integers(0, len(source) - 1)) % len(source)
    source[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("byte") / "model.gguf"
    path.write_bytes(source)
    start = time.monotonic()
    try:
        header = read_header(path)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert header.kv_bytes_per_token >= 0 and header.vocab_size >= 0
        assert header.quantization and header.train_context >= 0
        assert isinstance(header.name, str)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (b"ggjt" + bytes(100), "not a GGUF file"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (gguf(LLAMA, version=1), "version 1"),
        (gguf(LLAMA, version=4), "version 4"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "1,152,921,504,606,846,976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 2**60), "metadata fields"),
        (gguf([struct.pack("<Q", 2**62)]), "a text of"),
        (gguf([field("x", 8, struct.pack("<Q", 2**40))]), "a text of"),
        (gguf([array("x", 8, 2**50, b"")]), "texts"),
        (gguf([array("x", 8, 2000, struct.pack("<Q", 2**63) * 2000)]), "a length of"),
        (gguf([array("x", 4, 2**61, b"")]), "a length of"),
        (gguf([array("x", 9, 1, bytes(40))]), "unknown type 9"),
        (gguf([field("x", 77, b"")]), "unknown type 77"),
        (gguf([u32("x", 1), u32("x", 2)]), "twice"),
        (gguf([u32("general.alignment", 3)]), "power of two"),
        (gguf([], [tensor("a", [1] * 5, 0, 0)]), "5 dimensions"),
        (gguf([], [tensor("a", [2**40, 2**40], 0, 0)]), "shape"),
        (gguf([], [tensor("a", [33], 2, 0)]), "shape"),
    ],
)
def test_nonsense_is_refused_by_its_cause(tmp_path: Path, data: bytes, cause: str) -> None:
    assert cause in refusal(tmp_path, data)


def test_unknown_tensor_type_is_left_to_llama_cpp(tmp_path: Path) -> None:
    header = header_of(tmp_path, gguf(LLAMA, [tensor("a", [32], 99, 0)]))
    assert header.parameters == 32


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], 4 * 2 * (8 + 8) * 2),
        ([u32("llama.attention.key_length", 128)], 4 * 2 * (128 + 8) * 2),
    ],
)
def test_cache_size_follows_the_heads(tmp_path: Path, fields: list[bytes], expected: int) -> None:
    assert header_of(tmp_path, gguf([*LLAMA, *fields])).kv_bytes_per_token == expected


def test_cache_size_with_heads_by_layer(tmp_path: Path) -> None:
    heads = array("llama.attention.head_count_kv", 5, 4, struct.pack("<4i", 2, 0, 4, 2))
    header = header_of(tmp_path, gguf([*LLAMA[:-1], heads]))
    assert header.kv_bytes_per_token == 8 * (8 + 8) * 2


def test_silent_header_has_no_numbers(tmp_path: Path) -> None:
    header = header_of(tmp_path, gguf([]))
    assert (header.name, header.architecture, header.quantization) == ("", "", "unknown")
    assert header.kv_bytes_per_token == header.train_context == header.vocab_size == 0


def test_no_file_or_a_folder_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no file"):
        read_header(tmp_path / "none.gguf")
    with pytest.raises(ModelNotFound, match=r"holds no \.gguf file"):
        read_header(tmp_path)
    (tmp_path / "some.gguf").write_bytes(WHOLE)
    with pytest.raises(ModelNotFound, match=r"such as .*some\.gguf"):
        read_header(tmp_path)
    with pytest.raises(ModelNotFound):
        read_header(tmp_path / "some.gguf" / "deeper")
    with pytest.raises(ModelNotFound):
        read_header("nul\0byte")
    with pytest.raises(ModelNotFound, match="not a regular file"):
        read_header("/dev/zero")
