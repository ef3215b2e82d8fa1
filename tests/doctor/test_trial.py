"""A vocabulary is opened in a process of its own first: what ends it there ends nothing here."""

import struct
import sys
from pathlib import Path

import pytest

from glasschat.doctor import Mark, examine, trial
from glasschat.doctor.trial import try_vocabulary
from glasschat.errors import InvalidModel
from tests.doctor.breaking import found
from tests.support import ggufs
from tests.support.ggufs import CONTROL

CHATML = {"<|im_start|>": CONTROL, "<|im_end|>": CONTROL}


def test_a_sound_vocabulary(tmp_path: Path) -> None:
    try_vocabulary(ggufs.sentencepiece(tmp_path / "x.gguf", {"<s>": 3, "</s>": 3}, None))


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
    with pytest.raises(InvalidModel, match=r"llama\.cpp cannot read the vocabulary of .*x\.gguf"):
        try_vocabulary(tmp_path / "x.gguf")


def test_a_vocabulary_that_does_not_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = tmp_path / "python"
    sleeping.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeping.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeping))
    monkeypatch.setattr(trial, "SECONDS", 0.1)
    with pytest.raises(InvalidModel, match="was not done"):
        try_vocabulary(tmp_path / "x.gguf")
