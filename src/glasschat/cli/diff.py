"""`glasschat diff`: where two recorded replies part."""

import argparse

from glasschat.cli.terminal import json_text, printable
from glasschat.cli.traces import as_json, read_trace_file, told
from glasschat.glass import diff as compare


def diff(options: argparse.Namespace) -> int:
    """Print it; 1 when they differ in prompt or tokens."""
    one, two = read_trace_file(options.one), read_trace_file(options.two)
    found = compare(one.trace, two.trace)
    if options.json:
        print(json_text(as_json(found, one, two)))
    else:
        for line in told(found, one, two, (options.one, options.two)):
            print(printable(line))
    return 0 if found.same else 1
