"""Count the figures of the code that docs/log.md follows: `make figures`.

    python tools/figures.py [--root CHECKOUT ...] [--json]

Prints a Markdown table with a column for each checkout, this one where none is named. How each
row is counted:

- Files and lines: `*.py` under src/, lines as `wc -l` counts them; median and longest of them.
- Files that name `min_p`: those under src/ with that word; a setting that is known in one table
  needs few.
- Tables of what "off" means: assignments under src/ of a dict that gives `repetition_penalty` its
  neutral value 1.0 by that key, presets not counted, and modules with a call that has a `neutral=`
  argument.
- Engine step and chat reply: see tools/trace_calls.py, which runs them.
- Lines under web/ that no test imports: lines of the modules under src/glasschat/web that no test
  outside tests/e2e imports, directly or through another module. A page that a test runs by its
  file (`AppTest.from_file`) counts as imported.
- Docstrings of four words or fewer: of modules, classes and functions under src/.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median

TOOLS = Path(__file__).resolve().parent
FEW_WORDS = 4
NEUTRAL_PENALTY = 1.0

ROWS = {
    "files": "files in src",
    "lines": "lines in src",
    "median": "median file, lines",
    "longest": "longest file, lines",
    "min_p": "files naming `min_p`",
    "off_tables": 'tables of "off"',
    "step_files": "files of an engine step",
    "step_functions": "functions of engine/ in a step",
    "step_calls": "Python calls of an engine step",
    "reply_files": "files on the way of a chat reply",
    "untested_web": "lines under web/ that no test imports",
    "short_docstrings": "docstrings of four words or fewer",
}


def count_figures(root: Path) -> dict[str, float]:
    """Return every figure of ROWS for the checkout at `root`."""
    source = {path: path.read_text(encoding="utf-8") for path in sorted(_python_files(root, "src"))}
    trees = {path: ast.parse(text) for path, text in source.items()}
    lengths = [text.count("\n") for text in source.values()]
    return {
        "files": len(lengths),
        "lines": sum(lengths),
        "median": median(lengths),
        "longest": max(lengths),
        "min_p": sum(re.search(r"\bmin_p\b", text) is not None for text in source.values()),
        "off_tables": sum(map(count_off_tables, trees.values())),
        "untested_web": count_untested_lines(root),
        "short_docstrings": sum(len(short_docstrings(tree)) for tree in trees.values()),
        **trace_calls(root),
    }


def _python_files(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (root / folder).rglob("*.py")


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the docstring of the module, and of each class and function in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield getattr(node, "lineno", 1), text


def short_docstrings(tree: ast.Module) -> list[tuple[int, str]]:
    """Return line and text of the docstrings of four words or fewer."""
    return [(line, text) for line, text in docstrings(tree) if len(text.split()) <= FEW_WORDS]


def count_off_tables(tree: ast.Module) -> int:
    """Return how many tables in a module say which value of a setting does nothing."""
    dicts = sum(
        _is_off_table(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
    )
    rows = any(
        isinstance(node, ast.Call) and any(item.arg == "neutral" for item in node.keywords)
        for node in ast.walk(tree)
    )
    return dicts + rows


def _is_off_table(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and "Preset" in ast.unparse(value.func):
        return False
    return any(
        isinstance(key, ast.Constant)
        and key.value == "repetition_penalty"
        and isinstance(item, ast.Constant)
        and item.value == NEUTRAL_PENALTY
        for node in ast.walk(value)
        if isinstance(node, ast.Dict)
        for key, item in zip(node.keys, node.values, strict=True)
    )


def count_untested_lines(root: Path) -> int:
    """Return the lines of the modules under web/ that no test outside tests/e2e imports."""
    return sum(path.read_bytes().count(b"\n") for path in untested_modules(root))


def untested_modules(root: Path) -> list[Path]:
    """Return the modules under web/ that no test outside tests/e2e imports."""
    modules = {_module_name(root / "src", path): path for path in _python_files(root, "src")}
    tests = [path for path in _python_files(root, "tests") if "e2e" not in path.parts]
    reached: set[str] = set()
    waiting = [name for path in tests for name in _imported(path, modules)]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imported(modules[name], modules)
    web = root / "src" / "glasschat" / "web"
    return sorted(
        path for name, path in modules.items() if path.is_relative_to(web) and name not in reached
    )


def _module_name(source: Path, path: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of the package that a file imports, with the packages they are in."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    if any(name.startswith("streamlit.testing") for name in names) and "page.py" in text:
        names.add("glasschat.web.page")
    for name in names:
        parts = name.split(".")
        yield from filter(
            modules.__contains__, (".".join(parts[:size]) for size in range(1, len(parts) + 1))
        )


def trace_calls(root: Path) -> dict[str, float]:
    """Return what tools/trace_calls.py counts in the checkout at `root`."""
    done = subprocess.run(
        [sys.executable, str(TOOLS / "trace_calls.py"), str(root)],
        env={**os.environ, "PYTHONPATH": str(root.resolve() / "src")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def markdown_table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Return the figures as a Markdown table with a column for each checkout."""
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for key, title in ROWS.items():
        values = " | ".join(f"{figures[key]:,.10g}" for figures in columns.values())
        lines.append(f"| {title} | {values} |")
    return "\n".join(lines)


def main(arguments: Iterable[str] | None = None) -> int:
    """Print the figures of each checkout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, action="append", help="a checkout; this one without")
    parser.add_argument("--json", action="store_true", help="print JSON, by checkout")
    options = parser.parse_args(None if arguments is None else list(arguments))
    roots = options.root or [TOOLS.parent]
    columns = {root.resolve().name: count_figures(root) for root in roots}
    print(json.dumps(columns, indent=1) if options.json else markdown_table(columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
