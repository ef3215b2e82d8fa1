"""`glasschat doctor` as a person and as a program would use it."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glasschat.cli import main
from glasschat.doctor.comparison.measurement import Distance, Progress
from glasschat.doctor.comparison.pair import ModelPair
from tests.doctor.damage import untried

PROGRAM = Path(sys.executable).with_name("glasschat")


@pytest.fixture
def no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial costs a process each time; tests/doctor/test_trial.py has it."""
    monkeypatch.setattr("glasschat.doctor.model_files.open_in_subprocess", untried)


def test_the_built_in_model_passes() -> None:
    done = subprocess.run([str(PROGRAM), "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"\d+ passed, no warning, no failure", lines[-1])
    assert "\x1b" not in done.stdout
    assert max(map(len, lines[2:])) <= 100
    # Aligned: what was found begins in one column, and goes on in it.
    column = next(line.index("a whole GGUF") for line in lines if "a whole GGUF" in line)
    for line in lines[2:-2]:
        assert line[column - 1] == " " and line[column] != " "


@pytest.mark.usefixtures("no_trial")
def test_json_has_the_shape_that_is_written_down(
    capsys: pytest.CaptureFixture[str], builtin_model_path: Path
) -> None:
    assert main(["doctor", "--json", str(builtin_model_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {
        "glasschat", "model", "against", "findings", "comparison", "not_checked", "summary",
    }  # fmt: skip
    assert said["model"]["kind"] == "GGUF" and said["model"]["context"] == 8192
    assert said["against"] is None and said["comparison"] is None and said["not_checked"] == []
    for finding in said["findings"]:
        assert set(finding) == {"check", "mark", "found", "remedy", "details"}
        assert finding["mark"] == "pass" and finding["remedy"] == ""
    assert said["summary"] == {"pass": len(said["findings"]), "warn": 0, "fail": 0}


@pytest.mark.usefixtures("no_trial")
def test_a_failure_is_exit_code_1_and_has_a_remedy(
    capsys: pytest.CaptureFixture[str], builtin_model_path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(builtin_model_path.read_bytes()[:40_000_000])
    assert main(["doctor", str(file)]) == 1
    said = capsys.readouterr()
    assert re.search(r"^fail  file +model\.gguf is cut off.*\n +→ download", said.out, re.MULTILINE)
    assert said.out.splitlines()[-1].endswith("1 failure")
    assert said.err == ""


@pytest.mark.parametrize("damage", ["", "GGUF", "these are my notes", "PK\x03\x04"])
def test_what_is_no_model_is_a_failure_too(
    damage: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_text(damage * 50)
    assert main(["doctor", "--json", str(file)]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert json.loads(said.out)["summary"]["fail"] == 1


@pytest.mark.parametrize(
    "arguments",
    [["/no/such.gguf"], ["--against", "/no/such.gguf"], [""], ["--against", ""], ["nul\0byte"]],
)
def test_nothing_there_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("glasschat doctor: error: ")


def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--colour"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("no_trial")
def test_progress_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str], builtin_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(pair: ModelPair, progress: Progress) -> Distance:
        progress(f"loading {pair.reference.metadata.path.name}")
        return Distance(kl=[0.0], same=[True], worst="Hi")

    monkeypatch.setattr("glasschat.doctor.comparison.distance.measure", measure)
    path = str(builtin_model_path)
    assert main(["doctor", path, "--against", path, "--json"]) == 0
    said = capsys.readouterr()
    comparison = json.loads(said.out)["comparison"]
    assert {"same-vocabulary", "divergence", "top-1", "replies"} <= {f["check"] for f in comparison}
    assert said.err == f"glasschat: loading {builtin_model_path.name}\n"


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_a_terminal_gets_colour_unless_it_says_no(
    no_color: str | None, coloured: bool, tmp_path: Path
) -> None:
    """And nothing that a stranger named a file can steer it."""
    file = tmp_path / "evil\x1b[2Jname.gguf"
    file.write_bytes(b"x" * 100)
    environment = {**os.environ, "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    if no_color:
        environment["NO_COLOR"] = no_color
    said = on_a_terminal([str(PROGRAM), "doctor", str(file)], environment)
    assert ("\x1b[1;31mfail\x1b[0m" in said) is coloured
    assert "\x1b[2J" not in said and "␛[2J" in said


def on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What `command` writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        said += more
    process.wait(60)
    os.close(ours)
    return said.decode()
