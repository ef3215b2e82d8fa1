"""The house stays as it was drawn: who may look at whom, how long a file gets, what start costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import glasschat

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(glasschat.__file__).parent
LINES = 400
SLOW_TO_IMPORT = (
    "streamlit",
    "llama_cpp",
    "torch",
    "transformers",
    "xllamacpp",
    "pandas",
    "sqlalchemy",
)


def test_rooms_look_only_where_they_may() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(lint), "--config", "pyproject.toml"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_outgrows_the_cap() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in SOURCE.rglob("*.py")
    }
    too_long = {path: length for path, length in lengths.items() if length > LINES}
    assert not too_long, f"over {LINES} lines, time to split: {too_long}"


def rooms() -> list[Path]:
    """Every `__init__.py` in the package."""
    return sorted(SOURCE.rglob("__init__.py"))


@pytest.mark.parametrize("room", rooms(), ids=lambda path: path.parent.name)
def test_every_room_says_what_it_is(room: Path) -> None:
    assert ast.get_docstring(ast.parse(room.read_text(encoding="utf-8")))


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """`glasschat --help` takes a tenth of a second, and would take seconds with any of these."""
    look = f"import sys, glasschat.cli; print(*(set({SLOW_TO_IMPORT}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_nothing_reaches_into_a_reply_that_another_object_writes() -> None:
    """The engine and the remote stream write through a writer; watchers hold the reading side."""
    holders = ("generation", "writer", "reply", "sequence", "progress", "controls")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
        if ast.unparse(node.value).rpartition(".")[2].lstrip("_") in holders
    ]
    assert found == []
