"""Where the source raises errors: every template that is given to an error's class or a message."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glasschat import errors

SOURCE = Path(errors.__file__).parent
ERRORS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.GlasschatError)
}
# Of these the template is in the class itself.
FIXED = {"StageNotHere", "PromptTooLong"}
PARTS = {"Message", "DamagedError", "LimitExceeded"}
"""What errors are made of, and what becomes one further up."""


@dataclass(frozen=True, slots=True)
class Site:
    """One call: its file and line, the class, the template and the names of its values.

    The template is None if it is no literal; `is_formatted` where it is put together on the spot.
    """

    where: str
    name: str
    template: str | None
    values: tuple[str, ...]
    is_formatted: bool


def error_sites(source: str, where: str = "") -> Iterator[Site]:
    """Every call in a file that makes an error or a message."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = getattr(called, "attr", getattr(called, "id", ""))
        if name not in ERRORS - FIXED and name not in PARTS:
            continue
        arguments = node.args[1:2] if name == "ParameterError" else node.args[:1]
        given = arguments[0] if arguments else None
        template = str(given.value) if isinstance(given, ast.Constant) else None
        values = tuple(keyword.arg or "**" for keyword in node.keywords)
        is_formatted = isinstance(given, ast.JoinedStr | ast.BinOp)
        yield Site(f"{where}:{node.lineno}", name, template, values, is_formatted)


def all_error_sites() -> list[Site]:
    """Those of the whole package."""
    return [
        site
        for path in sorted(SOURCE.rglob("*.py"))
        for site in error_sites(path.read_text("utf-8"), path.relative_to(SOURCE).as_posix())
    ]
