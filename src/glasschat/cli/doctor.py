"""`glasschat doctor`: reports what is wrong with a model before it answers badly."""

import argparse
import os
import shutil
import sys

from glasschat.cli.arguments import model_path
from glasschat.cli.terminal import json_text, printable
from glasschat.doctor import Line, Mark, Report, examine
from glasschat.models.load import builtin_model

_COLOURS = {Mark.PASS: "32", Mark.WARN: "33", Mark.FAIL: "1;31"}
# Columns where standard output is no terminal.
_WIDTH = 100


def doctor(options: argparse.Namespace) -> int:
    """Examine a model and print the report; return 1 if any check failed."""
    path = model_path(options.model) or builtin_model()
    report = examine(path, model_path(options.against), progress=_print_progress)
    if options.json:
        print(json_text(report.as_json()))
    else:
        _print_report(report)
    return 1 if report.failed else 0


def _print_progress(text: str) -> None:
    print(f"glasschat: {text}", file=sys.stderr, flush=True)


def _print_report(report: Report) -> None:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((_WIDTH, 24)).columns if terminal else _WIDTH
    coloured = terminal and not os.environ.get("NO_COLOR")
    for line in report.lines(width):
        print(_format_line(line, coloured))


def _format_line(line: Line, coloured: bool) -> str:
    # A stranger wrote some of it: nothing in it may steer the terminal.
    text = printable(line.text)
    if line.mark is None:
        return text
    word = f"\x1b[{_COLOURS[line.mark]}m{line.mark}\x1b[0m" if coloured else str(line.mark)
    return word + text
