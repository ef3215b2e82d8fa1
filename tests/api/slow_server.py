"""`glasschat serve` in front of a scripted model that takes its time for every token."""

import argparse
import time
from collections.abc import Sequence

from glasschat.api import AdmissionControl, Api, ApiOptions, connection
from glasschat.api.app import build_api_app
from glasschat.api.server import run_server
from glasschat.backends import LocalBackend
from glasschat.config import WebOptions
from glasschat.models.scripted import scripted_model


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--drain", type=float, default=0.0)
    parser.add_argument("--step", type=float, default=0.02)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--head-within", type=float, default=connection.HEAD_TIMEOUT_S)
    parser.add_argument("--unread", type=float, default=connection.READ_TIMEOUT_S)
    parser.add_argument("--most-open", type=int, default=connection.MAX_CONNECTIONS)
    options = parser.parse_args()
    connection.HEAD_TIMEOUT_S = options.head_within
    connection.READ_TIMEOUT_S = options.unread
    connection.MAX_CONNECTIONS = options.most_open

    def slowly(_ids: Sequence[int]) -> int:
        time.sleep(options.step)
        return ord("x")

    model = scripted_model(slowly, context=options.context)
    backend = LocalBackend(lambda _: model, name="scripted")
    api = Api(AdmissionControl(backend, ApiOptions(drain_s=options.drain)))
    where = WebOptions(port=options.port)
    run_server(build_api_app(api, where), api, host=where.host, port=where.port)


if __name__ == "__main__":
    main()
