"""What a user hears of a model that is not there, not whole, or too large."""

import json
from pathlib import Path

import pytest

from glasschat.cli import main
from tests.support import ggufs


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.fixture(params=["ask", "prompt", "web"])
def command(request: pytest.FixtureRequest) -> list[str]:
    return {"ask": ["ask", "Hi", "--model"], "prompt": ["prompt", "Hi", "--model"], "web": ["web"]}[
        request.param
    ]


def test_no_such_file(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "/no/model.gguf" in refused(capsys, *command, "/no/model.gguf")


def test_a_folder_without_a_model(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert str(tmp_path) in refused(capsys, *command, str(tmp_path))


def test_a_file_that_is_no_gguf(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.gguf"
    file.write_text("these are my notes, " * 100)
    assert "not a GGUF" in refused(capsys, *command, str(file))


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.02, 0.5, 0.999999])
def test_a_download_that_was_cut_off(
    share: float, tmp_path: Path, builtin_model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = builtin_model_path.read_bytes()
    file = tmp_path / "model.gguf"
    file.write_bytes(whole[: int(len(whole) * share)])
    said = refused(capsys, "ask", "--model", str(file), "Hi")
    assert "model.gguf" in said


def test_a_file_over_which_llama_cpp_ends_its_process(
    command: list[str],
    builtin_model_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = ggufs.with_a_token_twice(tmp_path / "twice.gguf", builtin_model_path)
    said = refused(capsys, *command, str(file))
    assert "llama.cpp breaks down over twice.gguf" in said and "get another conversion" in said


def test_more_context_than_the_model_has(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "ask", "--context", "100000", "Hi")
    assert "8,192" in said


def test_more_context_than_there_is_memory_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way out that it names is one that works."""
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: 700 * 2**20)
    said = refused(capsys, "ask", "--context", "8192", "--slots", "8", "Hi")
    assert "would fit" in said
    words = said.split()
    slots, context = (words[words.index(flag) + 1] for flag in ("--slots", "--context"))
    settings = ["--slots", slots, "--context", context, "--max-new-tokens", "2"]
    assert main(["ask", *settings, "Hi"]) == 0


def test_defaults_give_way_where_memory_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody asked for is no reason to refuse."""
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: 500 * 2**20)
    assert main(["ask", "--json", "--max-new-tokens", "2", "Hi"]) == 0
    assert json.loads(capsys.readouterr().out)["usage"]["completion_tokens"] == 2


def test_no_memory_at_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: 50 * 2**20)
    assert "smaller model" in refused(capsys, "ask", "Hi")


def test_without_the_built_in_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasschat.models.load.BUILTIN_PACKAGE", "no_such_package")
    assert "glasschat[builtin]" in refused(capsys, "ask", "Hi")
