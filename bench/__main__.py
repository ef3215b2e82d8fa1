"""Command line of the benchmarks: `python -m bench`.

Exit codes: 0 measured, also where a target was missed (the table says so), 1 a rival failed,
2 something has to be given or installed first, 130 interrupted.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from bench.rivals import RivalFailed
from bench.run import run_bench
from glasschat.cli.arguments import Parser, model_path
from glasschat.errors import EngineError, GlasschatError

DESCRIPTION = """Measure decode, batching and an eight-turn chat against llama.cpp's bare loop,
llama-server and the original demo's algorithm, in one run. Rivals come with the `bench` extra."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = Parser(prog="python -m bench", description=DESCRIPTION)
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a .gguf file, a model folder, or hf:owner/name[/file.gguf]; the built-in model",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="run this part alone; may be given again"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads for all sides alike")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table or JSON, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        report = run_bench(
            model_path(options.model),
            only=options.only or (),
            threads=options.threads,
            say=lambda text: print(f"bench: {text}", file=sys.stderr, flush=True),
        )
    except KeyboardInterrupt:
        return 130
    except (RivalFailed, EngineError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except GlasschatError as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.as_json(), indent=1) if options.json else report.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
