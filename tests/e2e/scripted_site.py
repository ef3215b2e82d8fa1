"""A real server in front of the model of `tests/support/echo_model.py`, which has one slot.

python -m tests.e2e.scripted_site --port PORT [--store FILE]
"""

import argparse

from glasschat.backends import LocalBackend
from glasschat.chat import Library
from glasschat.chat.store import open_store
from glasschat.config import WebOptions
from glasschat.web.server import serve
from tests.support.echo_model import echo_model


def main() -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", metavar="FILE")
    options = parser.parse_args()
    backend = LocalBackend(lambda _: echo_model(), name="scripted", max_waiting=2)
    library = Library(open_store(options.store) if options.store else None)
    serve(backend, library, WebOptions(port=options.port))


if __name__ == "__main__":
    main()
