"""The code stays as docs/architecture.md has it: files, docstrings, what starting costs.

Which package may import which is held by import-linter, in `make test`.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import glasschat
from tools.figures import short_docstrings

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(glasschat.__file__).parent
LINES = 400
MEDIAN_LINES = 130
FILE = re.compile(r"[\w.-]+(/[\w.-]+)*(/|\.(py|js|css|md|po|json|toml|txt))")
SLOW_TO_IMPORT = (
    "streamlit",
    "llama_cpp",
    "torch",
    "transformers",
    "xllamacpp",
    "pandas",
    "sqlalchemy",
)


def documents() -> list[Path]:
    """The Markdown files at the top and under docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_no_file_is_long_and_half_of_them_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in SOURCE.rglob("*.py")
    }
    too_long = {path: length for path, length in lengths.items() if length > LINES}
    assert not too_long, f"over {LINES} lines, time to split: {too_long}"
    assert median(lengths.values()) <= MEDIAN_LINES


def test_every_path_in_the_architecture_exists() -> None:
    """The paths in backticks, those of the glossary among them, in the checkout or the package."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = {name for name in re.findall(r"`([^`\n]+)`", text) if FILE.fullmatch(name)}
    assert len(names) > 50
    missing = sorted(
        name for name in names if not (ROOT / name).exists() and not any(SOURCE.rglob(name))
    )
    assert not missing


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    assert not missing


def test_every_docstring_says_something() -> None:
    """A docstring of four words or fewer is a riddle, or repeats the name."""
    short = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in (SOURCE, ROOT / "bench", ROOT / "tools")
        for path in sorted(folder.rglob("*.py"))
        for line, text in short_docstrings(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not short


def packages() -> list[Path]:
    """Every `__init__.py` in the package."""
    return sorted(SOURCE.rglob("__init__.py"))


@pytest.mark.parametrize("package", packages(), ids=lambda path: path.parent.name)
def test_every_package_says_what_it_is(package: Path) -> None:
    assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))


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
