"""`glasschat diff`: shows where two recorded replies differ."""

import argparse

from glasschat.cli.terminal import json_text, printable
from glasschat.cli.traces import diff_json, diff_lines, read_trace_file
from glasschat.glass import diff as compare


def diff(options: argparse.Namespace) -> int:
    """Compare two traces and print the result; return 1 if prompts or tokens differ."""
    one, two = read_trace_file(options.one), read_trace_file(options.two)
    found = compare(one.trace, two.trace)
    if options.json:
        print(json_text(diff_json(found, one, two)))
    else:
        for line in diff_lines(found, one, two, (options.one, options.two)):
            print(printable(line))
    return 0 if found.same else 1
