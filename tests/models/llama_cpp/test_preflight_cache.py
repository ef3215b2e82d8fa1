"""A file is tried before llama.cpp is let near it here, once for as long as it stays the same."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from glasschat.config import ModelOptions
from glasschat.errors import InvalidModel
from glasschat.models.gguf.files import read_model
from glasschat.models.llama_cpp import preflight
from glasschat.models.llama_cpp.preflight import PreflightResult
from glasschat.models.load import open_tokenizer, plan_model
from tests.doctor.damage import altered, number
from tests.support import ggufs

Trials = list[tuple[str, bool]]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trials:
    """Which files were tried, and whether whole; nothing is remembered yet."""
    trials: Trials = []

    def record(path: Path, *, weights: bool) -> PreflightResult:
        trials.append((path.name, weights))
        return PreflightResult()

    monkeypatch.setattr(preflight, "open_in_subprocess", record)
    monkeypatch.setenv("GLASSCHAT_CACHE", str(tmp_path / "cache"))
    return trials


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return ggufs.sentencepiece(tmp_path / "x.gguf", {"<s>": 3, "</s>": 3}, None)


def check_in_subprocess(path: Path, *, weights: bool = True) -> None:
    preflight.check_in_subprocess(read_model(path), weights=weights)


def test_a_file_is_tried_once(file: Path, tried: Trials) -> None:
    check_in_subprocess(file)
    check_in_subprocess(file)
    assert tried == [("x.gguf", True)]


def test_a_whole_model_vouches_for_its_vocabulary_and_not_the_other_way_round(
    file: Path, tried: Trials
) -> None:
    check_in_subprocess(file, weights=False)
    check_in_subprocess(file, weights=False)
    check_in_subprocess(file)
    check_in_subprocess(file, weights=False)
    assert tried == [("x.gguf", False), ("x.gguf", True)]


def touched(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


def longer(file: Path) -> None:
    time = file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes() + b"\0")
    os.utime(file, ns=(time, time))


@pytest.mark.parametrize("change", [touched, longer])
def test_a_file_that_was_changed_is_tried_again(
    change: Callable[[Path], None], file: Path, tried: Trials
) -> None:
    check_in_subprocess(file)
    change(file)
    check_in_subprocess(file)
    assert len(tried) == 2


def test_another_release_of_llama_cpp_tries_anew(
    file: Path, tried: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_in_subprocess(file)
    monkeypatch.setattr(preflight.llama_cpp, "__version__", "99.0")
    check_in_subprocess(file)
    assert len(tried) == 2


def test_a_part_that_was_changed_is_tried_again(file: Path, tried: Trials) -> None:
    """Of a model in several files only the first is named."""
    first, second = (file.with_name(f"y-0000{n}-of-00002.gguf") for n in (1, 2))
    shutil.copy(file, first)
    shutil.copy(file, second)
    check_in_subprocess(first)
    touched(second)
    check_in_subprocess(first)
    assert len(tried) == 2


def test_a_cache_folder_that_cannot_be_made_only_costs_the_trial(
    file: Path, tried: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    check_in_subprocess(file)
    check_in_subprocess(file)
    monkeypatch.delenv("GLASSCHAT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobodys)
    check_in_subprocess(file)
    assert len(tried) == 3


def nobodys() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_model_that_llama_cpp_does_not_survive_is_refused_each_time(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    broken = altered(tiny_gguf, tmp_path / "x.gguf", number("llama.block_count", 0))
    for _ in range(2):
        with pytest.raises(InvalidModel, match=r"breaks down over x\.gguf \(GGML_ASSERT"):
            plan_model(ModelOptions(path=broken))
    with open_tokenizer(broken) as tokenizer:
        assert tokenizer.vocab_size == read_model(broken).vocab_size > 500


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_figure_that_llama_cpp_asserts_at_the_first_token_only(
    value: float, tiny_gguf: Path, tmp_path: Path
) -> None:
    """The trial computes nothing: it would have to read the weights."""
    epsilon = number("llama.attention.layer_norm_rms_epsilon", value, "f")
    broken = altered(tiny_gguf, tmp_path / "x.gguf", epsilon)
    with pytest.raises(InvalidModel, match=r"claims llama\.attention\.layer_norm_rms_epsilon"):
        plan_model(ModelOptions(path=broken))
