"""kill -9 at any moment, and two processes at once: what was committed is there, and whole."""

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glasschat.chat.node import Ending
from glasschat.chat.store import Store, open_store
from tests.chat.store.conftest import ME, asked, new_database
from tests.chat.store.writing import TOKENS, word

ROOT = Path(__file__).parents[3]
WHOLE = "".join(map(word, range(TOKENS)))


@contextmanager
def helper(what: str, url: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chat.store.writing", what, url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def check(store: Store, safe: list[Any]) -> None:
    """All that was told to be safe is there, and everything that is there is whole."""
    for conversation in {line[0] for line in safe}:
        tree = store.load(ME, conversation).tree
        for _, reply, tokens, ended in safe:
            node = tree[reply]
            assert len(node.ids or ()) >= tokens
            assert not ended or node.runs[-1].ending is Ending.STOP
        for node in tree.nodes:
            if node.role == "user":
                continue
            ids = node.ids or ()
            assert ids == tuple(range(len(ids))) and node.text == "".join(map(word, ids))
            assert node.runs[-1].ending is (
                Ending.STOP if node.text == WHOLE and not node.cut else Ending.INTERRUPTED
            )


def killed_again_and_again(url: str, times: int) -> list[list[Any]]:
    told = []
    with helper("killed", url) as process:
        for _ in range(times):
            say(process, str(random.uniform(0, 50)))
            safe = json.loads(hear(process))
            store = open_store(url)
            check(store, safe)
            store.close()
            told.append(safe)
    return told


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_lose_nothing_that_was_committed(tmp_path: Path, kills: int) -> None:
    path = tmp_path / "conversations.db"
    open_store(path).close()
    told = killed_again_and_again(str(path), kills)
    store = open_store(path)
    for safe in told:
        check(store, safe)
    assert len(store.conversations(ME, 100).items) == kills
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        # No reply keeps pieces apart, or a run without an end, once it has been looked at.
        assert connection.execute("SELECT count(*) FROM chunks").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM runs WHERE ending IS NULL").fetchone() == (
            0,
        )


def test_kills_beside_postgresql_lose_nothing_either(postgres: str) -> None:
    killed_again_and_again(new_database(postgres), 6)


def test_two_processes_on_one_database_lose_no_update(url: str) -> None:
    """Both open it, new as it is, at once; both add turns, and a reply that grows."""
    count = 25
    with helper("beside", url) as one, helper("beside", url) as other:
        assert hear(one) == hear(other) == "open\n"
        store = open_store(url)
        conversation, tree = asked(store, "go!")
        root = tree.path[0].id
        before = store.info(ME, conversation).revision
        for process in (one, other):
            say(process, f"{conversation} {count} {root}")
    kept = store.load(ME, conversation).tree
    assert len(kept.children(root)) == 1 + 2 * (count + 1)
    for process in (one, other):
        own = [n for n in kept.children(root) if n.id.startswith(f"{process.pid}-")]
        assert [n.text for n in own] == [*map(word, range(count)), WHOLE]
        assert own[-1].runs[-1].ending is Ending.STOP
    # One for each turn, two for each reply's beginning and end.
    assert store.info(ME, conversation).revision == before + 2 * count + 4
    store.close()
