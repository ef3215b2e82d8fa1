"""The installer says what pip is doing, and what is missing before it starts."""

import sys
from pathlib import Path

import pytest

from tools import install
from tools.install import InstallError, Progress, check_compiler, check_python, format_duration


def statuses(*lines: str) -> list[str]:
    progress = Progress()
    said = []
    for line in lines:
        progress.feed(line)
        said.append(progress.status)
    return said


def test_progress_follows_pip_from_lookup_to_compiler() -> None:
    assert statuses(
        "Collecting streamlit<2,>=1.67 (from glasschat==0.1.0)\n",
        "  Downloading streamlit-1.67.0-py3-none-any.whl (9.1 MB)\n",
        "  Building wheel for llama-cpp-python (pyproject.toml): started\n",
        "  [45/193] Building CXX object vendor/llama.cpp/src/llama.cpp.o\n",
        "  nothing that means anything\n",
        "Installing collected packages: numpy, jinja2, glasschat\n",
    ) == [
        "looking up streamlit",
        "downloading streamlit (9.1 MB)",
        "building llama-cpp-python",
        "compiling llama.cpp 45/193",
        "compiling llama.cpp 45/193",
        "installing 3 packages",
    ]


def test_progress_reads_make_where_there_is_no_ninja() -> None:
    assert statuses(
        "  Building wheel for llama-cpp-python (pyproject.toml): started",
        "  [  7%] Building C object ggml.c.o",
    )[-1] == ("compiling llama.cpp 7%")


def test_lengths_of_time_are_spoken() -> None:
    assert [format_duration(s) for s in (0.9, 59, 80, 3600)] == [
        "0 s",
        "59 s",
        "1 min 20 s",
        "60 min 0 s",
    ]


def test_no_compiler_is_one_line_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InstallError, match=r"no C compiler.*build-essential") as caught:
        check_compiler()
    assert "\n" not in str(caught.value)


def test_an_old_python_is_refused_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(InstallError, match=r"Python 3\.9\.2 is too old, 3\.11 or newer"):
        check_python()


def test_a_failed_pip_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'Collecting numpy'\necho 'ERROR: disk is full'\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(install, "make_venv", lambda venv: fake)
    with pytest.raises(InstallError, match="while looking up numpy"):
        install.install(tmp_path, "builtin")
    assert "ERROR: disk is full" in capsys.readouterr().err
    assert "disk is full" in (tmp_path / "install.log").read_text()
