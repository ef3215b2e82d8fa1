"""A model by its name on the hub: fetched once, taken up where it broke off, refused in a line."""

import builtins
import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glasschat.errors import InvalidModel, MissingExtra, ModelError, ModelNotFound
from glasschat.models.hub import download, fetch, is_reference
from tests.support.fake_hub import COMMIT, TOKEN, FakeHub, fake_hub, use_hub

LLAMA = "meta/Small-Llama"
GGUFS = "someone/GGUFs"


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
SHARDS = {FIRST: noise(300_000, 1), SECOND: noise(300_000, 2)}
INDEX = {"metadata": {}, "weight_map": {"a": FIRST, "b": SECOND}}
FOLDER = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": noise(5000, 3),
    "tokenizer_config.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    **SHARDS,
}
REST = {
    "README.md": b"read me", "modeling_llama.py": b"raise SystemExit", "pytorch_model.bin": b"x",
    "original/consolidated.00.pth": noise(2000), "onnx/model.onnx": noise(2000),
    "model.gguf": noise(2000), "consolidated.safetensors": noise(2000),
}  # fmt: skip
PARTS = {f"q8/big-0000{n}-of-00003.gguf": noise(1500, n) for n in (1, 2, 3)}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "hub"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[FakeHub]:
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(download, "BLOCK", 1 << 16)
    with fake_hub() as hub:
        hub.repos = {
            LLAMA: {**FOLDER, **REST},
            GGUFS: {"small-Q4_K_M.gguf": noise(2000), "tiny.gguf": b"GGUF", **PARTS},
        }
        use_hub(monkeypatch, hub, cache)
        yield hub


def refusal(text: str, kind: type[ModelError] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        fetch(text)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in message and TOKEN not in message and ": " in message
    return message


def in_folder(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


# References.


def test_reference_is_told_from_a_path() -> None:
    assert is_reference("hf:meta/Llama") and is_reference("hf:nonsense")
    assert not is_reference("./hf:x") and not is_reference("/models/x") and not is_reference("hf/x")


@pytest.mark.parametrize(
    "text",
    ["hf:", "hf:llama", "hf:/llama", "hf:a/", "hf:a/b/", "hf:a/b/model.safetensors", "hf:a/b/x.py",
     "hf:a/b/../x.gguf", "hf:a/b//x.gguf", "hf:a/b/x\\y.gguf", "hf:a/b@", "hf:a/b@x@y",
     "hf:../b", "hf:a/..", "hf:a/b@../x", "hf:a/b/\n.gguf", "hf:a/b?x", "hf:a--b/c", "hf:a/b.git",
     "hf:a/" + "b" * 99],
)  # fmt: skip
def test_reference_that_is_none_says_how_one_is_written(hub: FakeHub, text: str) -> None:
    assert "write hf:owner/name" in refusal(text, ModelNotFound)
    assert hub.requests == []


# Folders.


def test_folder_holds_what_a_model_needs_and_nothing_else(hub: FakeHub, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    path = fetch(f"hf:{LLAMA}", lambda done, total: told.append((done, total)))
    assert in_folder(path) == FOLDER
    assert path == cache / "models--meta--Small-Llama" / "snapshots" / COMMIT
    size = sum(map(len, FOLDER.values()))
    assert told[-1] == (size, size)
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 8


def test_single_file_goes_before_an_index(hub: FakeHub) -> None:
    hub.repos[LLAMA]["model.safetensors"] = noise(4000, 9)
    names = set(in_folder(fetch(f"hf:{LLAMA}")))
    assert "model.safetensors" in names
    assert names.isdisjoint(SHARDS)


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_what_is_in_the_cache_is_used_without_a_request(hub: FakeHub, revision: str) -> None:
    path = fetch(f"hf:{LLAMA}{revision}")
    hub.requests.clear()
    told: list[tuple[int, int]] = []
    assert fetch(f"hf:{LLAMA}{revision}", lambda *state: told.append(state)) == path
    assert (hub.requests, told) == ([], [])


def test_missing_template_is_remembered_as_missing(hub: FakeHub) -> None:
    """Or every start would ask the hub for it again."""
    del hub.repos[LLAMA]["chat_template.jinja"]
    path = fetch(f"hf:{LLAMA}")
    hub.requests.clear()
    assert fetch(f"hf:{LLAMA}") == path
    assert hub.requests == []


def test_weights_that_another_program_left_are_completed(hub: FakeHub, cache: Path) -> None:
    """An older program fetches weights and tokenizer, and no chat_template.jinja."""
    path = fetch(f"hf:{LLAMA}")
    (path / "chat_template.jinja").unlink()
    shutil.rmtree(cache / "models--meta--Small-Llama" / ".no_exist", ignore_errors=True)
    hub.requests.clear()
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER
    assert hub.asked("GET", "cdn") == []


def test_without_network_the_cache_is_enough(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    path = fetch(f"hf:{LLAMA}")
    (path / "chat_template.jinja").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(f"hf:{LLAMA}") == path
    (path / SECOND).unlink()
    assert "HF_HUB_OFFLINE is set" in refusal(f"hf:{LLAMA}", ModelNotFound)


# Broken downloads.


def test_download_that_breaks_off_goes_on_where_it_was(hub: FakeHub) -> None:
    hub.cuts[FIRST] = [200_000, 50_000]
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER
    starts = [request.start for request in hub.asked("GET", f"cdn/{LLAMA}/{FIRST}")]
    assert len(starts) == 3 and starts[0] == 0 < starts[1] <= starts[2] < 300_000


def test_next_process_goes_on_where_this_one_ended(hub: FakeHub) -> None:
    """huggingface_hub itself throws away what has arrived."""

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 450_000:
            raise Stopped

    with pytest.raises(Stopped):
        fetch(f"hf:{LLAMA}", stop)
    hub.requests.clear()
    told: list[tuple[int, int]] = []
    assert in_folder(fetch(f"hf:{LLAMA}", lambda *state: told.append(state))) == FOLDER
    assert hub.asked("GET", FIRST) == []
    (request,) = hub.asked("GET", f"cdn/{LLAMA}/{SECOND}")
    assert request.start > 100_000
    assert max(later[0] - earlier[0] for earlier, later in pairwise(told)) > 100_000


def test_what_progress_raises_comes_out_as_it_is(hub: FakeHub) -> None:
    def broken_pipe(done: int, total: int) -> None:
        raise BrokenPipeError(errno.EPIPE, "closed")

    with pytest.raises(BrokenPipeError):
        fetch(f"hf:{LLAMA}", broken_pipe)


def test_server_that_knows_no_ranges_sends_all_again(hub: FakeHub) -> None:
    hub.cuts[FIRST] = [200_000]
    hub.ranges = False
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


def test_server_that_is_busy_is_asked_again(hub: FakeHub) -> None:
    hub.errors = [503, 429, 500]
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


def test_download_that_never_gets_on_is_given_up(hub: FakeHub) -> None:
    hub.errors = [503] * 50
    message = refusal(f"hf:{LLAMA}")
    assert "answered with status 503" in message and "is kept" in message
    assert len(hub.errors) == 50 - download.ATTEMPTS
    hub.errors = []
    hub.cuts[FIRST] = [0] * 50
    assert "cannot be reached" in refusal(f"hf:{LLAMA}")


def test_bytes_that_were_damaged_on_disk_are_not_taken(hub: FakeHub, cache: Path) -> None:
    """After a power cut the end of a file may be zeros."""
    hub.cuts[FIRST] = [200_000] + [0] * 50
    refusal(f"hf:{LLAMA}")
    (part,) = cache.rglob("*.incomplete")
    part.write_bytes(bytes(part.stat().st_size))
    hub.cuts = {}
    assert "is not what the hub announces" in refusal(f"hf:{LLAMA}")
    assert [*cache.rglob("*.incomplete")] == []
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


def test_part_that_is_too_long_is_not_taken(hub: FakeHub, cache: Path) -> None:
    hub.cuts[FIRST] = [200_000] + [0] * 50
    refusal(f"hf:{LLAMA}")
    (part,) = cache.rglob("*.incomplete")
    part.write_bytes(bytes(400_000))
    hub.cuts = {}
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


# GGUF files.


def test_gguf_is_fetched_alone(hub: FakeHub) -> None:
    path = fetch(f"hf:{GGUFS}/small-Q4_K_M.gguf")
    assert path.name == "small-Q4_K_M.gguf" and path.read_bytes() == noise(2000)
    assert len(in_folder(path.parent)) == 1
    hub.requests.clear()
    assert fetch(f"hf:{GGUFS}/small-Q4_K_M.gguf@main") == path
    assert hub.requests == []


@pytest.mark.parametrize("number", [1, 3])
def test_split_gguf_is_fetched_whole_and_named_by_its_first_part(hub: FakeHub, number: int) -> None:
    path = fetch(f"hf:{GGUFS}/q8/big-0000{number}-of-00003.gguf")
    assert path.name == "big-00001-of-00003.gguf"
    assert in_folder(path.parent) == {name.split("/")[1]: data for name, data in PARTS.items()}
    (path.parent / "big-00002-of-00003.gguf").unlink()
    assert fetch(f"hf:{GGUFS}/q8/big-00001-of-00003.gguf") == path
    assert len(in_folder(path.parent)) == 3


def test_file_that_is_not_there_says_which_are(hub: FakeHub) -> None:
    message = refusal(f"hf:{GGUFS}/small-Q8_0.gguf", ModelNotFound)
    assert f"hf:{GGUFS}/small-Q4_K_M.gguf, hf:{GGUFS}/tiny.gguf" in message
    assert "00001-of-00003" in message and "00002-of-00003" not in message
    hub.repos[GGUFS] = {f"{number}.gguf": b"" for number in range(20)}
    assert "and 12 more" in refusal(f"hf:{GGUFS}/x.gguf", ModelNotFound)
    hub.repos[GGUFS] = {"a\n\x1b[2J.gguf": b""}
    refusal(f"hf:{GGUFS}/x.gguf", ModelNotFound)


def test_repository_of_ggufs_asks_for_one(hub: FakeHub) -> None:
    assert f"name one of them: hf:{GGUFS}/" in refusal(f"hf:{GGUFS}", ModelNotFound)


# What is not there, or not allowed.


def test_repository_without_a_model_is_refused(hub: FakeHub) -> None:
    hub.repos[LLAMA] = {"config.json": b"{}", "pytorch_model.bin": b""}
    assert "pickles only" in refusal(f"hf:{LLAMA}", InvalidModel)
    hub.repos[LLAMA] = {"README.md": b""}
    assert "no weights" in refusal(f"hf:{LLAMA}", ModelNotFound)
    hub.repos[LLAMA] = {"model.safetensors": b""}
    assert "no config.json" in refusal(f"hf:{LLAMA}", ModelNotFound)
    hub.repos[LLAMA] = {k: v for k, v in FOLDER.items() if k != SECOND}
    assert "lacks 'model-00002-of-00002" in refusal(f"hf:{LLAMA}", InvalidModel)


@pytest.mark.parametrize("file", ["../../../../evil.safetensors", "model.bin", 7])
def test_index_leads_nowhere_else(hub: FakeHub, cache: Path, file: Any) -> None:
    index = json.dumps({"weight_map": {"a": file}}).encode()
    hub.repos[LLAMA] = {**FOLDER, "model.safetensors.index.json": index}
    assert "names no files of weights" in refusal(f"hf:{LLAMA}", InvalidModel)


def test_unknown_repository_and_revision_are_told_apart(hub: FakeHub) -> None:
    assert "no repository meta/Nothing" in refusal("hf:meta/Nothing", ModelNotFound)
    assert "no revision 'v9'" in refusal(f"hf:{LLAMA}@v9", ModelNotFound)


def test_private_repository_says_how_to_log_in(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private = {LLAMA}
    message = refusal(f"hf:{LLAMA}", ModelNotFound)
    assert "hf auth login" in message and "HF_TOKEN" in message
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


def test_gated_repository_says_how_to_get_in(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated = {LLAMA}
    message = refusal(f"hf:{LLAMA}")
    assert "is gated" in message and f"{hub.url}/{LLAMA}" in message and "hf auth login" in message
    monkeypatch.setenv("HF_TOKEN", "hf_AnotherOne")
    assert "your token has no access yet" in refusal(f"hf:{LLAMA}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


def test_token_goes_to_the_hub_and_nowhere_else(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are on another host, whose address is in the hub's answer."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(f"hf:{LLAMA}")
    assert all(request.authorized for request in hub.asked("GET", "resolve"))
    elsewhere = hub.asked("GET", "cdn") + hub.asked("HEAD", "cdn")
    assert elsewhere and not any(request.authorized for request in elsewhere)


# What is missing here.


def test_no_network_is_told_in_one_line(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    message = refusal(f"hf:{LLAMA}")
    assert "127.0.0.1:9 cannot be reached" in message and "check the network" in message


@pytest.mark.parametrize(
    "listing", [b"<html>Please log in</html>", b"[]", b"{}", b'{"sha": "../x"}']
)
def test_answer_of_no_hub_is_told_in_one_line(hub: FakeHub, listing: bytes) -> None:
    """A hotel's network answers every question with its own page."""
    hub.listing = listing
    refusal(f"hf:{LLAMA}")


def test_disk_without_room_is_told_before_anything_is_fetched(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    message = refusal(f"hf:{LLAMA}")
    assert "0.0 GB more" in message and "HF_HOME" in message
    assert hub.asked("GET", "resolve") == []


def test_what_has_arrived_needs_no_room_again(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.cuts[SECOND] = [200_000] + [0] * 50
    refusal(f"hf:{LLAMA}")
    hub.cuts = {}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=210_000))
    assert in_folder(fetch(f"hf:{LLAMA}")) == FOLDER


def test_disk_that_fills_up_keeps_what_has_arrived(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = download._Sink.write

    def full(sink: Any, block: bytes) -> None:
        if sink.length > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(sink, block)

    monkeypatch.setattr(download._Sink, "write", full)
    message = refusal(f"hf:{LLAMA}")
    assert "is full" in message and str(cache) in message
    assert next(cache.rglob("*.incomplete")).stat().st_size > 100_000


def test_cache_that_cannot_be_written_is_named(hub: FakeHub, cache: Path) -> None:
    cache.parent.mkdir()
    cache.touch()
    assert str(cache) in refusal(f"hf:{LLAMA}")


def test_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "huggingface_hub":
            raise ImportError(f"No module named {name!r}")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install 'glasschat\[hf\]'"):
        fetch(f"hf:{LLAMA}")


def test_settings_of_huggingface_hub_are_heeded(hub: FakeHub, tmp_path: Path) -> None:
    """A process of its own, whose environment names hub and cache."""
    code = f"from glasschat.models.hub import fetch; print(fetch('hf:{LLAMA}'))"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    path = Path(ran.stdout.strip())
    assert path.is_relative_to(tmp_path / "home") and in_folder(path) == FOLDER
    assert ran.stderr == ""
