"""`glasschat serve` in front of a scripted model that says a token every 20 ms."""

import argparse
import time
from collections.abc import Sequence

from glasschat.api import Api, ApiOptions, Desk
from glasschat.api.alone import api_alone
from glasschat.api.server import run
from glasschat.backends import LocalBackend
from glasschat.config import WebOptions
from glasschat.models.scripted import scripted_model


def slowly(_ids: Sequence[int]) -> int:
    """One letter, in its time."""
    time.sleep(0.02)
    return ord("x")


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--drain", type=float, required=True)
    options = parser.parse_args()
    backend = LocalBackend(lambda _: scripted_model(slowly, context=4096), name="scripted")
    desk = Desk(backend, ApiOptions(drain_s=options.drain))
    where = WebOptions(port=options.port)
    run(api_alone(Api(desk), where), desk, host=where.host, port=where.port)


if __name__ == "__main__":
    main()
