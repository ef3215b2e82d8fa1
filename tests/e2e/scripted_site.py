"""A real server in front of the model of `tests/support/echo_model.py`.

python -m tests.e2e.scripted_site --port PORT [...]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from glasschat.backends import LocalBackend
from glasschat.chat import Library
from glasschat.chat.store import open_store
from glasschat.cli.stage_arguments import stage_classes
from glasschat.config import WebOptions
from glasschat.models.base import Model
from glasschat.web.server import serve
from tests.support.echo_model import echo_model


def main() -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--max-waiting", type=int, default=2)
    parser.add_argument("--held-by", type=Path, metavar="FILE", help="loads while it is not there")
    parser.add_argument("--store", metavar="FILE")
    parser.add_argument("--stage", metavar="NAME", action="append", default=[])
    options = parser.parse_args()

    def load(_progress: Callable[[float], None]) -> Model:
        while options.held_by is not None and options.held_by.exists():
            time.sleep(0.05)
        return echo_model(slots=options.slots, context=options.context)

    backend = LocalBackend(
        load,
        name="scripted",
        max_waiting=options.max_waiting,
        stage_classes=stage_classes(options),
    )
    library = Library(open_store(options.store) if options.store else None)
    serve(backend, library, WebOptions(port=options.port))


if __name__ == "__main__":
    main()
