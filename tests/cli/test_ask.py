"""`glasschat ask` on the real built-in model, as a person and as a program would use it."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glasschat.cli import main

# A small context: memory for the largest one takes longer to get than these replies. One thread:
# two wait for each other where another test computes too.
SMALL = ["--context", "512", "--threads", "1"]
SHORT = ["--max-new-tokens", "12", "--seed", "1", *SMALL]


def glasschat(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("glasschat")
    return subprocess.run(
        [str(program), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_question_is_answered() -> None:
    question = "What is the capital of France? Answer in one sentence."
    done = glasschat("ask", *SHORT, "--temperature", "0", "--max-new-tokens", "20", question)
    assert done.returncode == 0
    assert "Paris" in done.stdout
    assert done.stderr == ""


def test_the_question_may_come_from_standard_input() -> None:
    done = glasschat("ask", *SHORT, "-", stdin="What is the capital of France?\n")
    assert done.returncode == 0
    assert done.stdout.strip()


def test_json_says_everything_in_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--json", "--trace", *SHORT, "--system", "Be brief.", "Hi"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {
        "text", "token_ids", "finish_reason", "seed", "usage", "timings", "trace",
    }  # fmt: skip
    assert said["seed"] == 1
    assert set(said["usage"]) == {"prompt_tokens", "cached_tokens", "completion_tokens"}
    assert set(said["timings"]) == {"ttft_s", "prefill_tps", "decode_tps"}
    assert said["usage"]["completion_tokens"] == len(said["token_ids"]) == len(said["trace"])
    first = said["trace"][0]
    assert first["token_id"] == said["token_ids"][0]
    assert len(first["top"]) == 64
    assert 0 <= first["u"] < 1
    assert [stage["name"] for stage in first["stages"]] == [
        "repetition_penalty",
        "temperature",
        "top_p",
    ]


def test_the_same_seed_in_exact_mode_gives_the_same_ids(capsys: pytest.CaptureFixture[str]) -> None:
    replies = []
    for _ in range(2):
        assert main(["ask", "--json", "--exact", *SHORT, "Tell me a story."]) == 0
        replies.append(json.loads(capsys.readouterr().out)["token_ids"])
    assert replies[0] == replies[1]


def test_a_reply_can_be_repeated_by_the_seed_that_was_drawn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reply = ["--max-new-tokens", "12", *SMALL, "--temperature", "1.5"]
    arguments = ["ask", "--json", "--exact", *reply, "Hi"]
    assert main(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--seed", str(first["seed"])]) == 0
    assert json.loads(capsys.readouterr().out)["token_ids"] == first["token_ids"]


def test_settings_by_their_own_names(capsys: pytest.CaptureFixture[str]) -> None:
    settings = [
        *("--temperature", "0.5", "--top-p", "0.9", "--top-k", "20", "--min-p", "0.01"),
        *("--typical-p", "0.95", "--repetition-penalty", "1.1", "--presence-penalty", "0.1"),
        *("--frequency-penalty", "0.1", "--no-repeat-ngram-size", "4", "--min-new-tokens", "3"),
        *("--logit-bias", "30=-5", "--stop-token-ids", "7", "--max-length", "500"),
        *("--stages", "temperature,logit_bias,repetition_penalty,presence_penalty,"
          "frequency_penalty,no_repeat_ngram_size,min_new_tokens,top_k,top_p,min_p,typical_p"),
        *("--max-new-tokens", "5", "--ignore-eos", "--do-sample", "--stop", "zzz"),
    ]  # fmt: skip
    assert main(["ask", "--json", "--trace", *SMALL, *settings, "Hi"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["usage"]["completion_tokens"] == 5
    assert said["finish_reason"] == "length"
    assert said["trace"][0]["stages"][0]["name"] == "temperature"


def test_a_stop_string_ends_the_reply(capsys: pytest.CaptureFixture[str]) -> None:
    question = "What is the capital of France?"
    assert main(["ask", "--json", *SHORT, question]) == 0
    whole = json.loads(capsys.readouterr().out)["text"]
    stop = whole[5:9]
    arguments = ["ask", "--json", *SHORT, "--stop", stop, question]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["finish_reason"] == "stop"
    assert said["text"] == whole[: whole.index(stop)]


def test_control_c_keeps_the_reply_so_far() -> None:
    program = Path(sys.executable).with_name("glasschat")
    process = subprocess.Popen(
        [str(program), "ask", "--ignore-eos", "Tell me a very long story."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 100)
    assert first
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out.endswith(b"\n")
    assert err == b""


def test_a_reader_who_has_enough_is_no_error() -> None:
    program = Path(sys.executable).with_name("glasschat")
    process = subprocess.Popen(
        [str(program), "ask", "--ignore-eos", "--max-new-tokens", "200", "Tell me a story."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert err == b""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--temperature", "-1"], "temperature must be a number between 0 and 100"),
        (["--temperature", "nan"], "temperature must be a number between 0 and 100"),
        (["--top-p", "7"], "top_p must be a number between 0 and 1"),
        (["--top-k", "many"], "--top-k"),
        (["--seed", "-3"], "seed must be"),
        (["--stop", ""], "stop must be"),
        (["--stages", "temperature"], "stages must be"),
        (["--logit-bias", "999999=1"], "49152"),
        (["--logit-bias", "x"], "ID=VALUE"),
        (["--context", "9000"], "8,192"),
        (["--context", "8"], "context must be"),
        (["--slots", "0"], "slots must be"),
        (["--slots", "3", "--exact"], "exact"),
        (["--gpu-layers", "5"], "no GPU support"),
        (["--trace"], "--json"),
        (["--max-length", "10"], "shorten it by"),
        (["--no-such-flag"], "--no-such-flag"),
        (["--model", "/no/such/file.gguf"], "/no/such/file.gguf"),
        (["--model", ""], "path is empty"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("ask", *arguments, "Hello") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert says.replace("_", "-") in said.err.replace("_", "-")


def exit_code(*arguments: str) -> object:
    """What the program would end with."""
    try:
        return main(list(arguments))
    except SystemExit as ended:
        return ended.code


def test_a_wrong_setting_ends_the_program_without_a_traceback() -> None:
    done = glasschat("ask", "--temperature", "-1", "Hello")
    assert (done.returncode, done.stdout) == (2, "")
    assert "temperature must be" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("question", ["", "   ", "\n"])
def test_an_empty_question_is_refused(question: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", question]) == 2
    err = capsys.readouterr().err
    assert "question" in err
    assert err.count("\n") == 1


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, stdin: str
) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    assert main(["ask", *arguments, "-"]) == 2
    return capsys.readouterr().err


def test_a_question_longer_than_the_context_says_by_how_much(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(monkeypatch, capsys, "--context", "256", stdin="word " * 2000)
    assert "at most 255 fit" in said
    assert "shorten it by" in said


def test_a_larger_context_is_used_unless_max_length_says_less(
    tmp_path: Path,
    builtin_model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = b"llama.context_length" + struct.pack("<I", 4)
    data = builtin_model_path.read_bytes()
    wide = tmp_path / "wide.gguf"
    wide.write_bytes(data.replace(key + struct.pack("<I", 8192), key + struct.pack("<I", 9000), 1))
    settings = ["--model", str(wide), "--context", "9000", "--slots", "1"]
    said = refused(monkeypatch, capsys, *settings, stdin="word " * 9500)
    assert "at most 8,999 fit (context 9,000" in said
    less = [*settings, "--max-length", "8192"]
    said = refused(monkeypatch, capsys, *less, stdin="word " * 8500)
    assert "at most 8,191 fit" in said
    assert "or raise max length, to 9,000 at most" in said


def test_bytes_that_are_no_text_are_refused_by_name() -> None:
    program = Path(sys.executable).with_name("glasschat")
    done = subprocess.run(
        [bytes(program), b"ask", b"caf\xe9"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert b"surrogate" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_nul_in_the_question_is_read_as_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\x00b"))
    assert main(["prompt", "--json"]) == 0
    spans = json.loads(capsys.readouterr().out)["spans"]
    assert [span["text"] for span in spans if span["origin"] == "user"] == ["a\x00b"]
    monkeypatch.setattr("sys.stdin", io.StringIO("a\x00b"))
    assert main(["ask", *SHORT]) == 0
