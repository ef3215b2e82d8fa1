"""`--remote`: what is asked of another server, and what is refused beside it."""

import json
from pathlib import Path

import pytest

from glasschat.cli import build_parser, main
from glasschat.cli.remote_arguments import (
    KINDS,
    VARIABLE,
    additional_remotes,
    remote_backend,
)
from glasschat.errors import ServerError
from tests.support.browser import free_port
from tests.support.fake_remote import delta, fake_remote, replying, token

URL = "http://127.0.0.1:9"


def test_the_kinds_are_those_that_the_backend_knows() -> None:
    from glasschat.backends.remote import DIALECTS

    assert set(KINDS) == set(DIALECTS)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--remote-model", "x"], "--remote-model goes with --remote URL"),
        (["--remote", "127.0.0.1:8000"], "--remote is an http or https address"),
        (["--remote", "http://me:pw@host"], "--remote-key-file"),
        (["model.gguf", "--remote", URL], "model.gguf and --remote are two models"),
        (["--remote", URL, "--context", "512"], "--remote-context is for the other server's"),
        (["--remote", URL, "--slots", "2"], "--slots is for a model of this machine"),
        (["--remote", URL, "--max-waiting", "9"], "--max-waiting is for a model of this"),
        (["--remote", URL, "--gpu-layers", "9"], "--gpu-layers is for a model of this machine"),
        (["--remote", URL, "--also", "b.gguf"], "--also is for a model of this machine"),
        (["--remote", URL, "--exact"], "--exact is for a model of this machine"),
        (["--remote", URL, "--device", "cpu"], "--device is for a model of this machine"),
        (["--remote", URL, "--cors-origin", "http://a.example"], "--cors-origin is for the API"),
        (["--remote", URL, "--log-requests"], "--log-requests is for the API"),
        (["--remote", URL, "--remote-context", "3"], "--remote-context is a whole number from 8"),
        (["--remote", URL, "--remote-key-file", "/nowhere/key"], "cannot read the key in"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["web", "--port", str(free_port()), *flags]) == 2
    line = capsys.readouterr().err
    assert line.startswith("glasschat web: error: ") and line.count("\n") == 1
    assert words in line and "pw" not in line


def test_two_keys_are_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-one\n")
    file.chmod(0o600)
    monkeypatch.setenv(VARIABLE, "sk-two")
    assert main(["ask", "hello", "--remote", URL, "--remote-key-file", str(file)]) == 2
    line = capsys.readouterr().err
    assert "both give a key" in line and "sk-" not in line


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://192.0.2.1:8000", True),
        ("https://192.0.2.1:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
    ],
)
def test_a_key_that_others_could_read_on_the_way_is_warned_of(
    url: str, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "sk-secret")
    backend = remote_backend(build_parser().parse_args(["web", "--remote", url]))
    assert backend is not None
    backend.close()
    said = capsys.readouterr().err
    assert ("goes there over plain http" in said) is warned
    assert "sk-secret" not in said


def test_ask_streams_what_another_server_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\nwhat is below does not count\n")
    file.chmod(0o600)
    with fake_remote(replying("Hel", "lo."), owner="vllm") as remote:
        flags = ["--remote", remote.url, "--remote-key-file", str(file), "--top-k", "5"]
        assert main(["ask", "Hi", "--system", "Be brief.", *flags]) == 0
        body = remote.chats()[0]
        assert {a.headers.get("authorization") for a in remote.asked} == {"Bearer sk-file"}
    assert [m["content"] for m in body["messages"]] == ["Be brief.", "Hi"]
    assert body["top_k"] == 5
    said = capsys.readouterr()
    assert (said.out, said.err) == ("Hello.\n", "")


def test_ask_says_which_settings_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_remote(replying("Hello.")) as remote:
        assert main(["ask", "Hi", "--remote", remote.url, "--top-k", "5"]) == 0
    said = capsys.readouterr()
    assert said.out == "Hello.\n"
    assert "does not take top_k: 5 was left out" in said.err
    assert "does not take repetition_penalty: 1.005 was left out" in said.err


def test_ask_prints_what_was_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    def script(exchange: object) -> None:
        exchange.begin()  # type: ignore[attr-defined]
        told = token("Hi", -0.5, ("Hi", -0.5), ("Yo", -1.5))
        exchange.event(delta("Hi", told))  # type: ignore[attr-defined]
        exchange.end(prompt_tokens=4, completion_tokens=1)  # type: ignore[attr-defined]

    with fake_remote(script, owner="vllm") as remote:
        assert main(["ask", "Hi", "--remote", remote.url, "--json", "--trace"]) == 0
        assert main(["ask", "Hi", "--remote", remote.url, "--trace-file", "x"]) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["text"], found["token_ids"], found["finish_reason"]) == ("Hi", None, "stop")
    assert found["usage"]["prompt_tokens"] == 4
    top = [["Hi", -0.5], ["Yo", -1.5]]
    assert found["logprobs"] == [{"text": "Hi", "token": ["Hi", -0.5], "top": top}]
    assert "--trace-file is for a model of this machine" in said.err


@pytest.mark.parametrize("there", [True, False])
def test_ask_fails_with_one_line(there: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with fake_remote(lambda e: e.answer(500, {"error": {"message": "no memory"}})) as remote:
        url = remote.url if there else f"http://127.0.0.1:{free_port()}"
        assert main(["ask", "Hi", "--remote", url, "--repetition-penalty", "1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert ("has failed (500: no memory)" if there else "nothing answers at") in lines[0]


REMOTES = """
[fast]
url = "http://127.0.0.1:8000"
key_file = "fast.key"

[large]
url = "https://llm.example/v1"
model = "meta/large"
key = "sk-large"
context = 8192
kind = "openai"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "remotes.toml"
    file.write_text(text)
    file.chmod(0o600)
    (folder / "fast.key").write_text("sk-fast\n")
    (folder / "fast.key").chmod(0o600)
    return file


def test_several_servers_by_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, REMOTES)
    backends = additional_remotes(build_parser().parse_args(["web", "--remotes", str(file)]))
    fast, large = backends["fast"]._options, backends["large"]._options
    for backend in backends.values():
        backend.close()
    assert (str(fast.address), fast.key, fast.model) == ("http://127.0.0.1:8000", "sk-fast", None)
    assert (large.model, large.context, large.kind) == ("meta/large", 8192, "openai")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no servers"),
        ("not toml", "is no TOML"),
        ("[a]\nkey = 'sk-secret'\n", "a has no url"),
        ("[a]\nurl = 'ftp://x'\nkey = 'sk-secret'\n", "[a]: --remote is an http or https"),
        ("[a]\nurl = 'http://x'\ncolour = 'red'\n", "[a] has colour, which means nothing"),
        ("[a]\nurl = 'http://x'\ncontext = 'many'\n", "context of [a] is a whole number"),
        ("[a]\nurl = 'http://x'\nkey = 'sk-secret'\nkey_file = 'y'\n", "both give a key"),
        ("[a]\nurl = 'http://x'\nkey = 'sk secret'\n", "[a]: the key for the remote server"),
        ("[a]\nurl = 'http://x'\nkind = 'odd'\n", "[a]: --remote-kind is one of"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_its_keys_not_repeated(
    text: str, words: str, tmp_path: Path
) -> None:
    options = build_parser().parse_args(["web", "--remotes", str(written(tmp_path, text))])
    with pytest.raises(ServerError) as caught:
        additional_remotes(options)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
