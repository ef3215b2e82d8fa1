"""The doctor on folders in Hugging Face format: small weights, real tokenizers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from glasschat.doctor import Mark, Report, examine
from glasschat.doctor.folder_metadata import folder_metadata, parse_rope
from glasschat.models.gguf.header import read_header
from glasschat.models.hf.folder import read_folder
from tests.doctor.damage import found, marks
from tests.support.hf_parts import smollm2_tokenizer

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 49152,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "rope_theta": 100000.0,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": True,
}
TOKENIZER = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def tokenizer_json(builtin_model_path: Path) -> str:
    return json.dumps(smollm2_tokenizer(builtin_model_path))


@pytest.fixture
def make(tmp_path: Path, builtin_model_path: Path, tokenizer_json: str) -> Make:
    """Write a SmolLM2 of next to no weights; what is given goes over what the files say."""
    template = read_header(builtin_model_path).metadata["tokenizer.chat_template"]

    def write(
        config: dict[str, Any] | None = None,
        generation: dict[str, Any] | None = None,
        tokenizer: dict[str, Any] | None = None,
        chat_template: str | None = str(template),
        rows: int = 49152,
    ) -> Path:
        path = tmp_path / "Small-Llama"
        path.mkdir()
        ends = {"bos_token_id": 1, "eos_token_id": 2}
        documents = {
            "config": CONFIG | (config or {}),
            "generation_config": ends if generation is None else generation,
            "tokenizer_config": TOKENIZER | (tokenizer or {}),
        }
        for name, document in documents.items():
            (path / f"{name}.json").write_text(json.dumps(document))
        (path / "tokenizer.json").write_text(tokenizer_json)
        if chat_template is not None:
            (path / "chat_template.jinja").write_text(chat_template)
        weights = {"model.embed_tokens.weight": np.ones((rows, 8), np.float16)}
        for part in "kv":
            weights[f"model.layers.0.self_attn.{part}_proj.weight"] = np.ones((4, 8), np.float16)
        save_file(weights, path / "model.safetensors")
        return path

    return write


def test_a_whole_folder_is_in_health(make: Make) -> None:
    report = examine(make())
    assert set(marks(report.findings).values()) == {Mark.PASS}
    assert report.model.kind == "folder" and report.model.storage == "float16"
    named = found(report.findings, "ends").details["tokens"]
    assert [(token["id"], token["named_by"]) for token in named] == [
        (2, ["generation_config.json: eos_token_id", "config.json: eos_token_id",
             "tokenizer_config.json: eos_token"]),
    ]  # fmt: skip


def test_llama_3_as_meta_publishes_it(llama3_folder: Path) -> None:
    """Its template and its tokenizer both write begin-of-text: the demo read two."""
    report = examine(llama3_folder)
    assert marks(report.findings)["double-begin"] is Mark.WARN and not report.failed
    ends = {t["id"]: t["piece"] for t in found(report.findings, "ends").details["tokens"]}
    assert ends == {128001: "<|end_of_text|>", 128009: "<|eot_id|>"}
    assert found(report.findings, "turn-end").details["id"] == 128009
    assert found(report.findings, "sampling").details["settings"] == {
        "do_sample": True, "temperature": 0.6, "top_p": 0.9,
    }  # fmt: skip


def test_the_first_llama_3_release(make: Make) -> None:
    """Its files named end-of-text alone, and its replies went on for ever."""
    path = make(
        config={"eos_token_id": 0},
        generation={"eos_token_id": 0},
        tokenizer={"eos_token": "<|endoftext|>"},
    )
    turn_end = found(examine(path).findings, "turn-end")
    assert turn_end.mark is Mark.FAIL
    assert "add 2 to eos_token_id in generation_config.json" in turn_end.remedy
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    assert found(examine(path).findings, "turn-end").mark is Mark.PASS


def test_an_end_token_that_does_not_exist(make: Make) -> None:
    ends = found(examine(make(generation={"eos_token_id": [2, 50000]})).findings, "ends")
    assert ends.mark is Mark.FAIL
    assert "generation_config.json: eos_token_id names token 50000" in ends.found


def test_an_end_token_that_is_a_word(make: Make) -> None:
    ends = found(examine(make(generation={"eos_token_id": [2, 260]})).findings, "ends")
    assert ends.mark is Mark.FAIL and '" the"' in ends.found


def test_files_that_name_two_beginnings(make: Make) -> None:
    assert found(examine(make(config={"bos_token_id": 0})).findings, "begin").mark is Mark.WARN


def test_a_base_model(make: Make) -> None:
    report = examine(make(chat_template=None))
    template = found(report.findings, "template")
    assert template.mark is Mark.WARN and not report.failed
    assert "chat_template.jinja" in template.remedy


def test_rows_of_padding_are_no_trouble(make: Make) -> None:
    """Many embeddings are rounded up."""
    path = make(config={"vocab_size": 49280}, rows=49280)
    vocabulary = found(examine(path).findings, "vocabulary")
    assert vocabulary.mark is Mark.PASS and "128 rows more" in vocabulary.found


def test_a_tokenizer_with_more_tokens_than_the_model(make: Make) -> None:
    report = examine(make(config={"vocab_size": 40000}, rows=40000))
    assert found(report.findings, "tokenizer").mark is Mark.FAIL


@pytest.mark.parametrize("name", ["config", "generation_config", "tokenizer_config"])
def test_code_of_its_own(make: Make, name: str) -> None:
    path = make()
    document = json.loads((path / f"{name}.json").read_text())
    document["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    (path / f"{name}.json").write_text(json.dumps(document))
    report = examine(path)
    assert marks(report.findings)["file"] is Mark.FAIL
    assert f"auto_map in {name}.json" in found(report.findings, "code").found
    assert found(report.findings, "model").details["architecture"] == "LlamaForCausalLM"


def test_pickles(make: Make) -> None:
    """Beside safetensors they are never opened; alone they are refused."""
    path = make()
    (path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    (path / "modeling.py").write_text("raise SystemExit")
    code = found(examine(path).findings, "code")
    assert code.mark is Mark.PASS and "modeling.py, pytorch_model.bin" in code.found
    (path / "model.safetensors").unlink()
    report = examine(path)
    assert "pickles only" in found(report.findings, "code").found
    assert marks(report.findings)["code"] is Mark.FAIL is marks(report.findings)["file"]


def test_weights_that_are_cut_off_or_spoiled(make: Make) -> None:
    path = make()
    file = path / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-2] + np.array([np.nan], dtype="<f2").tobytes())
    weights = found(examine(path).findings, "weights")
    assert weights.mark is Mark.FAIL
    assert weights.details["broken"] == ["model.layers.0.self_attn.v_proj.weight"]
    file.write_bytes(whole[:-100])
    report = examine(path)
    assert marks(report.findings)["file"] is Mark.FAIL
    assert "cut off" in found(report.findings, "file").found
    assert report.model.context == 8192


def test_a_config_of_another_model(make: Make) -> None:
    assert (
        "contradicts itself"
        in found(examine(make(config={"hidden_size": 16})).findings, "file").found
    )


def test_a_family_that_slots_cannot_serve(make: Make) -> None:
    report = examine(make(config={"model_type": "bloom", "architectures": ["BloomForCausalLM"]}))
    supported = found(report.findings, "supported")
    assert supported.mark is Mark.FAIL and "ALiBi" in supported.found
    assert "GGUF" in supported.remedy


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("config", b""), ("config", b"{"), ("generation_config", b"[]"),
        ("generation_config", b'{"eos_token_id": {"a": []}}'), ("tokenizer_config", b"\xff"),
        ("tokenizer_config", b'{"eos_token": 5, "chat_template": [1]}'), ("tokenizer", b"{}"),
    ],
)  # fmt: skip
def test_damaged_json_is_told_and_survived(make: Make, name: str, damage: bytes) -> None:
    path = make()
    (path / f"{name}.json").write_bytes(damage)
    report = examine(path)
    assert isinstance(report, Report)
    if not damage.startswith(b'{"'):
        assert report.failed


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"rope_theta": 1e4}, (1e4, "", None, None)),
        ({"rope_theta": 1e4, "rope_scaling": None}, (1e4, "", None, None)),
        (
            {"rope_theta": 5e5, "rope_scaling": {
                "rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}},
            (5e5, "llama3", 8.0, 8192),
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 1e4},
            (1e4, "linear", 2.0, None),
        ),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, (1e6, "", None, None)),
        (
            {"rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
            (1e6, "linear", 8.0, None),
        ),
        ({"rope_scaling": "yes"}, (None, "", None, None)),
    ],
)  # fmt: skip
def test_positions_under_names_of_today_and_of_before(
    part: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    rope = parse_rope(part)
    assert (rope.base, rope.scaling, rope.factor, rope.original) == expected


def test_every_tensor_is_where_safetensors_has_it(make: Make) -> None:
    from safetensors import safe_open

    path = make()
    metadata = folder_metadata(read_folder(path))
    with safe_open(path / "model.safetensors", "numpy") as file:
        for tensor in metadata.tensors:
            with tensor.path.open("rb") as raw:
                raw.seek(tensor.offset)
                assert raw.read(tensor.size) == file.get_tensor(tensor.name).tobytes()
