"""The doctor on the built-in model, whole and damaged: what is wrong is found, and named."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.doctor import Mark, Report, examine
from glasschat.doctor.model_files import read_metadata
from glasschat.errors import ModelNotFound
from tests.doctor.damage import altered, found, marks, number, renamed, replaced, untried
from tests.support import ggufs
from tests.support.examples import examples
from tests.support.ggufs import CONTROL

CHATML = {"<|im_start|>": CONTROL, "<|im_end|>": CONTROL}
EOS = "tokenizer.ggml.eos_token_id"


@pytest.fixture(scope="module", autouse=True)
def without_trial() -> Iterator[None]:
    """The trial costs a process each time; tests/doctor/test_trial.py has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glasschat.doctor.model_files.open_in_subprocess", untried)
        yield


@pytest.fixture(scope="module")
def healthy(builtin_model_path: Path) -> Report:
    return examine(builtin_model_path)


def test_the_built_in_model_is_in_health(healthy: Report) -> None:
    assert {finding.mark for finding in healthy.findings} == {Mark.PASS}
    assert not healthy.not_checked and not healthy.failed


def test_it_says_where_each_end_token_comes_from(healthy: Report) -> None:
    tokens = found(healthy.findings, "ends").details["tokens"]
    assert {token["id"]: token["named_by"] for token in tokens} == {
        0: ["llama.cpp, by its spelling"],
        2: [EOS],
        4: ["llama.cpp, by its spelling"],
    }
    assert found(healthy.findings, "turn-end").details["id"] == 2


def test_it_says_what_the_model_is(healthy: Report) -> None:
    model = found(healthy.findings, "model")
    assert model.details["parameters"] == 134_515_008
    for said in ("SmolLM2-135M-Instruct", "llama", "134.5 million", "Q4_1", "tied"):
        assert said in model.found
    assert found(healthy.findings, "context").details["context"] == 8192


def test_an_end_token_that_does_not_exist(builtin_model_path: Path, tmp_path: Path) -> None:
    """llama.cpp then takes GPT-2's number, which is an ordinary word here."""
    file = altered(builtin_model_path, tmp_path / "x.gguf", number(EOS, 4_000_000_000))
    ends = found(examine(file).findings, "ends")
    assert ends.mark is Mark.FAIL
    assert f"{EOS} names token 4000000000" in ends.found
    assert '--special-token eos "<|im_end|>"' in ends.remedy


def test_an_end_token_that_is_a_word(builtin_model_path: Path, tmp_path: Path) -> None:
    """Replies would break off at the first " the"."""
    file = altered(builtin_model_path, tmp_path / "x.gguf", number(EOS, 260))
    ends = found(examine(file).findings, "ends")
    assert ends.mark is Mark.FAIL
    assert 'ends at 260 " the", which is an ordinary word' in ends.found


def test_a_template_that_was_lost(builtin_model_path: Path, tmp_path: Path) -> None:
    """Its tokens tell which format it once had; that is said, and not guessed."""
    file = altered(builtin_model_path, tmp_path / "x.gguf", renamed("tokenizer.chat_template"))
    report = examine(file)
    template = found(report.findings, "template")
    assert template.mark is Mark.WARN and not report.failed
    assert "base model" in template.found and "ChatML" in template.found
    assert "turn-end" in report.not_checked


def test_a_template_that_begins_twice(builtin_model_path: Path, tmp_path: Path) -> None:
    """glasschat leaves one of the two out; every other program reads both."""
    once, twice = b"<|im_start|>system", b"<|im_start|><|im_start|>"
    rest = b"\nYou are a helpful AI assistant named SmolLM"
    file = altered(
        builtin_model_path,
        tmp_path / "x.gguf",
        replaced(once + rest, twice + b"system" + rest[: len(once + rest) - len(twice) - 6]),
    )
    double = found(examine(file).findings, "double-begin")
    assert double.mark is Mark.FAIL
    assert double.details["template_writes"] == 2 and double.details["in_prompt"] == 1


def test_metadata_that_asks_for_a_second_begin(builtin_model_path: Path, tmp_path: Path) -> None:
    asked = number("tokenizer.ggml.add_bos_token", True, "?")
    report = examine(altered(builtin_model_path, tmp_path / "x.gguf", asked))
    double = found(report.findings, "double-begin")
    assert double.mark is Mark.WARN
    assert double.details["in_prompt"] == 1
    assert "add_special_tokens=False" in double.remedy


def test_no_word_of_how_text_is_split(builtin_model_path: Path, tmp_path: Path) -> None:
    file = altered(builtin_model_path, tmp_path / "x.gguf", renamed("tokenizer.ggml.pre"))
    assert found(examine(file).findings, "splitting").mark is Mark.WARN


def test_a_download_that_was_cut_off(builtin_model_path: Path, tmp_path: Path) -> None:
    """What the file still says is told."""
    file = tmp_path / "model.gguf"
    file.write_bytes(builtin_model_path.read_bytes()[:50_000_000])
    report = examine(file)
    assert marks(report.findings)["file"] is Mark.FAIL and report.failed
    assert "50,000,000" in found(report.findings, "file").found
    assert report.model.parameters == 134_515_008 and report.model.context == 8192
    assert {"weights", "memory", "template", "ends"} <= set(report.not_checked)


def test_a_download_with_a_hole_at_its_end(builtin_model_path: Path, tmp_path: Path) -> None:
    """Some downloaders make the whole file first, so that its length says nothing."""

    def emptied(data: bytearray) -> None:
        data[60_000_000:] = bytes(len(data) - 60_000_000)

    weights = found(
        examine(altered(builtin_model_path, tmp_path / "x.gguf", emptied)).findings, "weights"
    )
    assert weights.mark is Mark.FAIL
    assert "zeros" in weights.found and len(weights.details["zeros"]) > 50


def test_weights_that_are_no_numbers(builtin_model_path: Path, tmp_path: Path) -> None:
    def spoiled(data: bytearray) -> None:
        # The scale of the embedding's first block, in half precision.
        data[1_785_664 : 1_785_664 + 2] = struct.pack("<H", 0x7E00)

    weights = found(
        examine(altered(builtin_model_path, tmp_path / "x.gguf", spoiled)).findings, "weights"
    )
    assert weights.mark is Mark.FAIL
    assert weights.details["broken"] == ["token_embd.weight"]


def test_a_file_without_weights(builtin_model_path: Path, tmp_path: Path) -> None:
    file = ggufs.byte_level(tmp_path / "x.gguf", builtin_model_path, CHATML, None, eos="<|im_end|>")
    assert found(examine(file).findings, "weights").mark is Mark.FAIL


def test_what_is_no_model_at_all(tmp_path: Path) -> None:
    notes = tmp_path / "notes.gguf"
    notes.write_text("these are my notes, " * 100)
    report = examine(notes)
    assert marks(report.findings) == {"file": Mark.FAIL}
    assert "not a GGUF" in report.findings[0].found
    assert marks(examine(tmp_path).findings)["file"] is Mark.FAIL


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert marks(examine(tmp_path / "pipe.gguf").findings)["file"] is Mark.FAIL


def test_nothing_at_that_path(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", Path("nul\0byte")):
        with pytest.raises(ModelNotFound):
            examine(path)


def test_a_check_that_breaks_down_is_a_finding(
    builtin_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours costs one line, and not the report."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("glasschat.doctor.checks.weights._sample_tensor", broken)
    monkeypatch.setattr("glasschat.doctor.checks.template.open_template", broken)
    report = examine(builtin_model_path)
    assert marks(report.findings)["weights"] is Mark.FAIL
    assert "ZeroDivisionError: oh" in found(report.findings, "template").found
    assert marks(report.findings)["ends"] is Mark.PASS


@given(st.data())
@settings(max_examples=examples(200))
def test_any_damage_to_a_header_leaves_facts(
    tmp_path_factory: pytest.TempPathFactory, builtin_model_path: Path, data: st.DataObject
) -> None:
    with builtin_model_path.open("rb") as file:
        source = bytearray(file.read(3000))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 1500))
        source[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "model.gguf"
    path.write_bytes(source[: data.draw(st.integers(0, len(source)))])
    metadata, whole = read_metadata(path)
    assert whole.mark is Mark.FAIL and whole.remedy
    assert metadata.parameters >= 0 and isinstance(metadata.architecture, str)
