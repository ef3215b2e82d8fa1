"""llama.cpp is tried in a process of its own first: what ends it there ends nothing here."""

import struct
import sys
from pathlib import Path

import pytest

from glasschat.models.llama_cpp import preflight
from glasschat.models.llama_cpp.preflight import PreflightResult, open_in_subprocess
from tests.doctor.damage import altered, number
from tests.support import ggufs


def test_a_sound_model(builtin_model_path: Path) -> None:
    """Its weights are not read: that a file of 40 GB is sound is known in a moment."""
    assert open_in_subprocess(builtin_model_path, weights=True) == PreflightResult()


def test_a_sound_vocabulary_without_weights(tmp_path: Path) -> None:
    path = ggufs.sentencepiece(tmp_path / "x.gguf", {"<s>": 3, "</s>": 3}, None)
    assert open_in_subprocess(path, weights=False) == PreflightResult()
    assert "token_embd" in open_in_subprocess(path, weights=True).model


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("llama.block_count", 0, "breaks down over x.gguf (GGML_ASSERT"),
        ("llama.block_count", 2, "'blk.1.attn_norm.weight' not found"),
        ("llama.attention.head_count", 0, "wrong shape"),
    ],
)
def test_figures_that_llama_cpp_does_not_take(
    key: str, value: int, says: str, tiny_gguf: Path, tmp_path: Path
) -> None:
    """The first of them ends its process. Without a trial they show when somebody chats."""
    file = altered(tiny_gguf, tmp_path / "x.gguf", number(key, value))
    tried = open_in_subprocess(file, weights=True)
    assert not tried.vocabulary and says in tried.model


def test_what_llama_cpp_refuses_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    said = open_in_subprocess(tmp_path / "x.gguf", weights=True).vocabulary
    assert said.startswith("llama.cpp cannot read the vocabulary of ")


def test_a_vocabulary_that_does_not_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = tmp_path / "python"
    sleeping.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeping.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeping))
    monkeypatch.setattr(preflight, "SECONDS", 0.1)
    assert "was not done" in open_in_subprocess(tmp_path / "x.gguf", weights=True).vocabulary
