"""Bring the catalogues of translations up to date with the source.

    python tools/messages.py            every locale/*.po gets what is new, loses what is gone
    python tools/messages.py --check    says what is missing, changes nothing

What pages say is marked with `_`, `ngettext` and `N_`. What went wrong is not: errors are raised
in plain English, `QueueFull(f"{waiting} requests are waiting ...")`, for the command line, the log
and the store too. Their templates are read out of the source here, each with its values by name
(`{waiting:,}` where it is a number), and a page finds the one that an error's line was made from
(`web/error_text.py`).
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from glasschat import errors
from glasschat.web.error_text import ERROR
from glasschat.web.language import LOCALE

SOURCE = Path(errors.__file__).parent
# Where messages are marked: pages, what the glass box says in sentences, labels of settings.
SPEAKING = ("web", "glass", "sampling")
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}

# Where the errors come from that somebody who chats may meet. Those of models and of the command
# line are for whoever runs the server, and stay English.
ROOMS = ("errors.py", "prompt", "sampling", "engine", "backends", "chat", "glass", "web")
OPERATORS = (errors.InvalidStage, errors.ModelError, errors.MissingExtra, errors.ServerError)
ERRORS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type)
    and issubclass(kind, errors.GlasschatError)
    and not issubclass(kind, OPERATORS)
}

# What errors are made of beside their own lines, in files where it cannot be told from other text.
ALSO = {
    "backends/host.py": (
        "the engine has failed ({fault}) and its model cannot be loaded again: {why}",
        "the engine has failed ({fault}) and is being started again",
        "the engine has failed more than {most} times within {value:,} minutes, the last time with "
        "{fault}: the server's log says where",
    ),
    "engine/engine.py": ("internal error: {name}: {error}",),
    "sampling/trace.py": (
        "the model's logits",
        "try again, or load another file of this model",
        "set it milder or turn it off",
    ),
    "web/page.py": ("the model cannot be used: {error}",),
}
NOTE = "note"
"""What an import calls with the place and the reason of something that it leaves out."""


def extracted() -> Catalog:
    """Every message of the source."""
    catalog = Catalog(project="glasschat", charset="utf-8", fuzzy=False)
    for room in SPEAKING:
        found = extract_from_dir(SOURCE / room, method_map=[("**.py", "python")], keywords=KEYWORDS)
        for name, _line, message, _comments, _context in found:
            catalog.add(message, locations=[(f"{room}/{name}", 0)])
    for path in sorted(path for room in ROOMS for path in _files(SOURCE / room)):
        where, source = path.relative_to(SOURCE).as_posix(), path.read_text("utf-8")
        also = set(ALSO.get(where, ()))
        if gone := also - _all_texts(source):
            raise LookupError(f"{where} does not say any more: {', '.join(gone)}")
        for template in sorted(error_templates(source) | also):
            catalog.add(template, locations=[(where, 0)], context=ERROR)
    return catalog


def _all_texts(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    plain = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return plain | {_template(n.values) for n in nodes if isinstance(n, ast.JoinedStr)}


def error_templates(source: str) -> set[str]:
    """What errors are made of in a file: f-strings as `"{waiting} requests are waiting"`.

    A value that is itself words (`{'context' if full else 'max length'}`, or a name that words
    were given to) is a template of its own.
    """
    module = ast.parse(source)
    found: set[str] = set()
    functions = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef)]
    for scope in [*functions, module]:
        names = _Names(module, scope)
        for call in ast.walk(scope):
            if isinstance(call, ast.Call) and _is_error(call):
                for argument in call.args[_has_name_first(call) :]:
                    found |= _templates(argument, names)
    return {template for template in found if any(map(str.isalpha, _literal(template)))}


class _Names:
    """What names stand for in a function: what they were given there, in the module, or return."""

    def __init__(self, module: ast.Module, scope: ast.AST) -> None:
        self._values: dict[str, list[ast.expr]] = {}
        for node in [*module.body, *ast.walk(scope)]:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    for name, value in _given(target, node.value):
                        self._values.setdefault(name, []).append(value)
            elif isinstance(node, ast.FunctionDef) and node is not scope:
                returned = (n.value for n in ast.walk(node) if isinstance(n, ast.Return))
                self._values.setdefault(node.name, []).extend(v for v in returned if v)

    def take(self, name: str) -> list[ast.expr]:
        """The expressions behind a name; once, so that none goes in circles."""
        return self._values.pop(name, [])


def _given(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, part in zip(target.elts, value.elts, strict=False):
            yield from _given(one, part)


def _name(expression: ast.expr) -> str:
    """What it is called, the last part of a dotted name; "" for what is no name."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def _is_error(call: ast.Call) -> bool:
    # An error's own __init__ hands its line on.
    return _name(call.func) in {"__init__", NOTE, *ERRORS}


def _has_name_first(call: ast.Call) -> bool:
    """Whether its first argument is a name or a place, which is the same in every language."""
    first = call.args[0] if call.args else None
    words = isinstance(first, ast.Constant) and " " in str(first.value)
    return _name(call.func) in ("ParameterError", NOTE) and not words


def _templates(expression: ast.expr, names: _Names) -> set[str]:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return {_template([expression])}
    if isinstance(expression, ast.JoinedStr):
        parts = expression.values
        inner = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
        return {_template(parts)}.union(*(_templates(value, names) for value in inner))
    if isinstance(expression, ast.IfExp):
        return _templates(expression.body, names) | _templates(expression.orelse, names)
    if isinstance(expression, ast.Name):
        return set().union(*(_templates(value, names) for value in names.take(expression.id)))
    if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name):
        return _templates(expression.func, names)
    return set()


def _template(parts: list[ast.expr]) -> str:
    text, taken = "", set[str]()
    for part in parts:
        if isinstance(part, ast.FormattedValue):
            name = (_name(part.value) or "value").strip("_")
            plain, number = name, 2
            while name in taken:
                name, number = f"{plain}{number}", number + 1
            taken.add(name)
            text += f"{{{name}{':,' if _is_number(part) else ''}}}"
        elif isinstance(part, ast.Constant):
            text += str(part.value).replace("{", "{{").replace("}", "}}")
    return text


def _is_number(value: ast.FormattedValue) -> bool:
    """Whether it is written as one, so that it is not taken for words."""
    spec = value.format_spec
    return isinstance(spec, ast.JoinedStr) and bool(
        re.fullmatch(r"[,.\dfg]+", ast.unparse(spec).strip("f'\""))
    )


def _literal(template: str) -> str:
    return "".join(text for text, _name, _spec, _conversion in Formatter().parse(template))


def _files(room: Path) -> list[Path]:
    return [room] if room.is_file() else sorted(room.rglob("*.py"))


def updated(catalogue: Path, messages: Catalog) -> Catalog:
    """The catalogue of a file with the messages of the source, and no others."""
    with catalogue.open("rb") as file:
        catalog = read_po(file, locale=catalogue.stem)
    catalog.update(messages, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def untranslated(catalog: Catalog) -> list[str]:
    """The messages without a translation."""
    return [str(message.id) for message in catalog if message.id and not _translated(message)]


def _translated(message: Message) -> bool:
    said = message.string
    return all(said) if isinstance(said, list | tuple) else bool(said)


def written(catalog: Catalog, header: str) -> str:
    """The text of a catalogue's file; `header` is kept as its translators wrote it."""
    file = io.BytesIO()
    write_po(file, catalog, width=96, sort_by_file=True, include_lineno=False, omit_header=True)
    return f"{header}\n\n{file.getvalue().decode().strip()}\n"


def main() -> int:
    """Write the catalogues, or look at them only."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    messages, missing = extracted(), 0
    for path in sorted(LOCALE.glob("*.po")):
        catalog = updated(path, messages)
        left = untranslated(catalog)
        missing += len(left)
        print(f"{path.name}: {len(catalog)} messages, {len(left)} without a translation")
        for message in left:
            print(f"  {message}")
        if not options.check:
            header, _, _ = path.read_text("utf-8").partition("\n\n")
            path.write_text(written(catalog, header), "utf-8")
    return 1 if missing and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
