"""A vocabulary is opened in a process of its own first: what ends it there ends nothing here."""

import struct
import sys
from pathlib import Path

import pytest

from glasschat.doctor import Mark, examine, trial
from glasschat.doctor.trial import Trial, try_gguf
from tests.doctor.breaking import altered, found, number
from tests.support import ggufs
from tests.support.ggufs import CONTROL

CHATML = {"<|im_start|>": CONTROL, "<|im_end|>": CONTROL}


def test_a_sound_model(builtin_model_path: Path) -> None:
    """Its weights are not read: that a file of 40 GB is sound is known in a moment."""
    assert try_gguf(builtin_model_path, weights=True) == Trial()


def test_a_sound_vocabulary_without_weights(tmp_path: Path) -> None:
    path = ggufs.sentencepiece(tmp_path / "x.gguf", {"<s>": 3, "</s>": 3}, None)
    assert try_gguf(path, weights=False) == Trial()
    assert "token_embd" in try_gguf(path, weights=True).model


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("llama.block_count", 0, "breaks down over x.gguf (GGML_ASSERT"),
        ("llama.block_count", 31, "'blk.30.attn_norm.weight' not found"),
        ("llama.attention.head_count", 0, "wrong shape"),
    ],
)
def test_figures_that_llama_cpp_does_not_take(
    key: str, value: int, says: str, builtin_model_path: Path, tmp_path: Path
) -> None:
    """The first of them ends its process. Without a trial they show when somebody chats."""
    file = altered(builtin_model_path, tmp_path / "x.gguf", number(key, value))
    tried = try_gguf(file, weights=True)
    assert not tried.vocabulary and says in tried.model


def test_a_model_that_does_not_load_is_not_run(builtin_model_path: Path, tmp_path: Path) -> None:
    count = number("llama.block_count", 31)
    file = altered(builtin_model_path, tmp_path / "x.gguf", count)
    report = examine(file, builtin_model_path)
    assert found(report.findings, "loading").mark is Mark.FAIL
    assert found(report.findings, "turn-end").mark is Mark.PASS
    assert "divergence" in report.not_checked


def test_a_figure_that_ends_llama_cpp_at_its_first_token(
    builtin_model_path: Path, tmp_path: Path
) -> None:
    epsilon = number("llama.attention.layer_norm_rms_epsilon", -1.0, "f")
    file = altered(builtin_model_path, tmp_path / "x.gguf", epsilon)
    report = examine(builtin_model_path, file)
    assert found(report.comparison, "against").mark is Mark.FAIL
    assert "rms_norm_eps -1" in found(report.comparison, "against").found
    assert "divergence" in report.not_checked


def test_a_vocabulary_that_ends_llama_cpp_does_not_end_the_doctor(
    builtin_model_path: Path, tmp_path: Path
) -> None:
    """A token that occurs twice is an assertion to llama.cpp, and the end of its process."""
    file = ggufs.byte_level(tmp_path / "x.gguf", builtin_model_path, CHATML, "{{ messages }}")
    data = file.read_bytes()
    twice = struct.pack("<Q", 14) + b"<|reserved_9|>"
    file.write_bytes(data.replace(twice, struct.pack("<Q", 14) + b"<|reserved_8|>", 1))
    report = examine(file)
    tokenizer = found(report.findings, "tokenizer")
    assert tokenizer.mark is Mark.FAIL and "GGML_ASSERT" in tokenizer.found
    assert "ends" in report.not_checked


def test_what_llama_cpp_refuses_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    said = try_gguf(tmp_path / "x.gguf", weights=True).vocabulary
    assert said.startswith("llama.cpp cannot read the vocabulary of ")


def test_a_vocabulary_that_does_not_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = tmp_path / "python"
    sleeping.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeping.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeping))
    monkeypatch.setattr(trial, "SECONDS", 0.1)
    assert "was not done" in try_gguf(tmp_path / "x.gguf", weights=True).vocabulary
