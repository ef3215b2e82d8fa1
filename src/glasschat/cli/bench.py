"""`glasschat bench`: how fast, against whom."""

import argparse
import json
import sys
from pathlib import Path

from glasschat.bench import run_bench


def bench(options: argparse.Namespace) -> int:
    """Measure and print; 0 also when a target was missed: the table says so."""
    report = run_bench(
        Path(options.model) if options.model is not None else None,
        only=options.only or (),
        threads=options.threads,
        say=lambda text: print(f"glasschat: {text}", file=sys.stderr, flush=True),
    )
    print(json.dumps(report.as_json(), indent=1) if options.json else report.as_text())
    return 0
