"""API server in a child process, controlled by lines on standard input.

    ready           answer whether the model is loaded
    alone N COUNT   generate COUNT replies of N tokens at once with no client, answer with their
                    mean decode speed

Every answer is one line of JSON. The process ends when its input does.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from statistics import mean

from bench.config import QUESTIONS, decode_tps, reply_of
from glasschat.api import AdmissionControl, Api, ApiOptions
from glasschat.api.app import build_api_app
from glasschat.api.server import run_server
from glasschat.backends import LocalBackend, Readiness
from glasschat.config import ModelOptions, WebOptions
from glasschat.models.load import load_model, plan_model
from glasschat.prompt import ChatMessage


def steer(backend: LocalBackend) -> None:
    """Answer each line until there are no more, then end the server."""
    for line in sys.stdin:
        command, *numbers = line.split()
        answer: object = None
        if command == "ready":
            answer = backend.describe().readiness is Readiness.READY
        elif command == "alone":
            tokens, count = map(int, numbers)
            replies = [
                # As the API asks where nobody wants log-probabilities.
                backend.start(
                    [ChatMessage("user", QUESTIONS[n])], reply_of(tokens, seed=n), trace=False
                )
                for n in range(count)
            ]
            answer = mean(map(decode_tps, replies))
        print(json.dumps(answer), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve a model: its path, a port, threads (0 for as glasschat chooses), slots, context."""
    path, (port, threads, slots, context) = Path(sys.argv[1]), map(int, sys.argv[2:])
    plan = plan_model(
        ModelOptions(path=path, slots=slots, context=context, threads=threads or None)
    )
    backend = LocalBackend(lambda progress: load_model(plan, progress), name=plan.info.name)
    threading.Thread(target=steer, args=(backend,), daemon=True).start()
    where, api = WebOptions(port=port), Api(AdmissionControl(backend, ApiOptions()))
    run_server(build_api_app(api, where), api, host=where.host, port=port)


if __name__ == "__main__":
    main()
