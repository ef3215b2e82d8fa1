"""Many clients that connect, read slowly and disconnect: `python -m bench.soak --seconds 60`.

Starts a server of its own with pages, API and store, on the built-in model, a GGUF or folder of
one's own (`--model`), or a scripted one that computes nothing (`--scripted`). Prints a table;
ends with 1 where a promise was broken, with 2 where nothing could be begun.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from bench.soak import SoakPlan, soak
from glasschat.config import ModelOptions
from glasschat.errors import GlasschatError
from glasschat.models.load import plan_model

_HELP = {
    "seconds": "how long clients come",
    "clients": "programs that use the API",
    "visitors": "pages that are open",
    "slots": "replies that run at once",
    "waiting": "requests that may wait",
    "tokens": "the most of a reply",
    "seed": "what all that is random follows from",
    "patience_s": "seconds that anything may take which has to happen",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the soak test, print its report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=(__doc__ or "").splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=Path, help="a GGUF or a folder; the built-in one without")
    which.add_argument("--scripted", action="store_true", help="a model that computes nothing")
    for field in fields(SoakPlan):
        option = f"--{field.name.replace('_', '-')}"
        kind = type(field.default)
        parser.add_argument(option, type=kind, default=field.default, help=_HELP[field.name])
    options = parser.parse_args(arguments)
    plan = SoakPlan(**{field.name: getattr(options, field.name) for field in fields(SoakPlan)})
    try:
        model = None
        if not options.scripted:
            model = plan_model(ModelOptions(path=options.model)).info.path
        report = soak(plan, model, lambda text: print(text, file=sys.stderr, flush=True))
    except GlasschatError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.as_text())
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
