"""The command line of the benchmarks, and the ways to start them from a checkout."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.rivals import RivalFailed
from glasschat.errors import GlasschatError, MissingExtra

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("error", "code"), [(RivalFailed("broken"), 1), (MissingExtra("broken"), 2)]
)
def test_a_failure_is_one_line_and_an_exit_code(
    error: GlasschatError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run_bench(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("bench.__main__.run_bench", run_bench)
    assert main([]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("bench: ")
    assert printed.err.count("\n") == 1
    assert "broken" in printed.err


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "everything"]) == 2
    assert "decode, parallel, chat, page, api" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["-m", "bench"], ["-m", "bench.gpu"], ["-m", "bench.soak"], ["bench/gpu.py"]]
)
def test_each_benchmark_starts_from_the_checkout(command: list[str]) -> None:
    """Without the checkout on PYTHONPATH: `python -m` and the script find it by themselves."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [path for path in paths if path and Path(path).resolve() != ROOT]
    done = subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
