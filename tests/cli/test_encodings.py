"""Bytes that are no text, and terminals that have not every character."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def glasschat(
    *arguments: str, encoding: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("glasschat")), *arguments],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )


@pytest.mark.parametrize("arguments", [["prompt"], ["ask"], ["prompt", "--messages", "-"]])
def test_standard_input_that_is_no_text_is_one_line(arguments: list[str]) -> None:
    done = glasschat(*arguments, encoding="utf-8:strict", stdin=b"a\xff")
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"standard input is no text in utf-8: its byte 2 is 0xFF" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_terminal_without_the_character_gets_another() -> None:
    done = glasschat("prompt", "caf\u00e9 \u4e2d", encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\xe9 ?" in done.stdout


def test_json_loses_nothing_for_want_of_characters() -> None:
    done = glasschat("prompt", "--json", "caf\u00e9 \u4e2d", encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    texts = [span["text"] for span in json.loads(done.stdout)["spans"]]
    assert "caf\u00e9 \u4e2d" in texts


def test_a_reply_reaches_a_terminal_without_its_characters() -> None:
    settings = ["--temperature", "0", "--max-new-tokens", "12"]
    done = glasschat(
        "ask", *settings, "Repeat this exactly: \u4e2d\u6587 \u00e9 \U0001f308", encoding="ascii"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?" in done.stdout
