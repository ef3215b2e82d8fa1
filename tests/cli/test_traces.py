"""Traces in the terminal, on the real built-in model."""

import json
from pathlib import Path

import pytest

from glasschat.cli import main

SHORT = ["--max-new-tokens", "8", "--context", "512", "--exact"]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "reply.jsonl"
    assert main(["ask", *SHORT, "--seed", "3", "--trace-file", str(path), "Say a word."]) == 0
    return path


def replay(path: Path) -> int:
    return main(["replay", "--context", "512", str(path)])


def spoil(trace: Path, path: Path, place: int, **changed: object) -> Path:
    """The trace with some of a token's numbers changed."""
    lines = trace.read_text(encoding="utf-8").splitlines()
    lines[place + 1] = json.dumps(json.loads(lines[place + 1]) | changed)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_reply_replays_to_the_last_bit(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert replay(trace) == 0
    said = capsys.readouterr()
    assert said.out == (
        "the logits of 8 tokens are equal to the last bit\nall 8 tokens are the same\n"
    )
    assert said.err == ""


def test_what_does_not_replay_is_told_with_its_place(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = json.loads(trace.read_text(encoding="utf-8").splitlines()[4])
    other = next(i for i, _ in token["top"] if i != token["token_id"])
    spoilt = spoil(trace, tmp_path / "spoilt.jsonl", 3, token_id=other)
    capsys.readouterr()
    assert main(["replay", "--context", "512", "--json", str(spoilt)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["same"], said["place"], said["logit_place"]) == (False, 3, None)
    recorded, replayed = said["sides"]
    assert (recorded["token_id"], replayed["token_id"]) == (other, token["token_id"])
    assert replayed["other"] is not None
    assert replay(spoilt) == 1
    assert "token 4 is the first that differs" in capsys.readouterr().out


def test_a_token_chosen_by_hand_is_chosen_by_hand_again(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = json.loads(trace.read_text(encoding="utf-8").splitlines()[3])
    other = next(i for i, _ in token["top"] if i != token["token_id"])
    forced = spoil(trace, tmp_path / "forced.jsonl", 2, token_id=other, forced=True, u=None)
    capsys.readouterr()
    main(["replay", "--context", "512", "--json", str(forced)])
    said = json.loads(capsys.readouterr().out)
    assert said["place"] is None or said["place"] > 2


def test_two_traces_are_held_against_each_other(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.jsonl"
    assert main(["ask", *SHORT, "--seed", "4", "--trace-file", str(other), "Say a word."]) == 0
    capsys.readouterr()
    assert main(["diff", str(trace), str(trace)]) == 0
    assert "all 8 tokens are the same" in capsys.readouterr().out
    assert main(["diff", str(trace), str(other)]) == 1
    said = capsys.readouterr().out
    assert "seed: 3 and 4" in said and "is the first that differs" in said
    assert main(["diff", "--json", str(trace), str(other)]) == 1
    assert json.loads(capsys.readouterr().out)["seeds"] is True


@pytest.mark.parametrize("command", [["replay"], ["diff", "{trace}"]])
def test_a_file_that_is_no_trace_is_named(
    trace: Path, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"format": "something"}\n', encoding="utf-8")
    arguments = [part.format(trace=trace) for part in command]
    assert main([*arguments, str(wrong)]) == 2
    assert f"{wrong}, line 1: this is no trace" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "nowhere")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_trace_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere" / "reply.jsonl"
    assert main(["ask", *SHORT, "--trace-file", str(path), "Hi"]) == 2
    assert "cannot be written: No such file" in capsys.readouterr().err
