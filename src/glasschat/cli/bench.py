"""`glasschat bench`: how fast, against whom."""

import argparse
import json
import sys

from glasschat.bench import run_bench
from glasschat.bench.rivals import RivalFailed
from glasschat.cli.arguments import model_path


def bench(options: argparse.Namespace) -> int:
    """Measure and print; 1 when a rival failed.

    0 also when a target was missed: the table says so.
    """
    try:
        report = run_bench(
            model_path(options.model),
            only=options.only or (),
            threads=options.threads,
            say=lambda text: print(f"glasschat: {text}", file=sys.stderr, flush=True),
        )
    except RivalFailed as error:
        print(f"glasschat: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report.as_json(), indent=1) if options.json else report.as_text())
    return 0
