"""Server with pages in a child process, controlled by lines on standard input.

    ready        answer whether the model is loaded
    alone N      generate N tokens with nobody watching, answer with its decode speed
    kept N       the same as a reply of a conversation that is kept in the store as it grows
    next N       let the next reply that a page asks for have N tokens
    result       wait for that reply, answer with its decode speed

Every answer is one line of JSON. The process ends when its input does.
"""

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.config import QUESTIONS, decode_tps
from glasschat.backends import LocalBackend, Readiness
from glasschat.chat import Library, Settings
from glasschat.chat.store import LOCAL_OWNER, open_store
from glasschat.config import ModelOptions, WebOptions
from glasschat.engine import Generation
from glasschat.models.load import load_model, plan_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from glasschat.web.server import serve


def exactly(tokens: int) -> SamplingParams:
    """Return settings for a reply of exactly `tokens` tokens, the same every time."""
    return SamplingParams(
        seed=1, min_new_tokens=tokens, max_new_tokens=tokens, ignore_eos=True, max_length=8192
    )


class MeasuredBackend(LocalBackend):
    """Makes every reply `tokens` long, whatever the page has set, and remembers the last."""

    tokens = 1
    last: Generation | None = None

    def start(
        self, messages: Sequence[ChatMessage], params: SamplingParams, **options: Any
    ) -> Generation:
        """Start a reply of `tokens` tokens; otherwise as LocalBackend.start."""
        self.last = super().start(messages, exactly(self.tokens), **options)
        return self.last


def steer(backend: MeasuredBackend, library: Library) -> None:
    """Answer each line until there are no more, then end the server."""
    for line in sys.stdin:
        command, _, count = line.strip().partition(" ")
        backend.tokens = int(count or backend.tokens)
        answer: object = None
        if command == "ready":
            answer = backend.describe().readiness is Readiness.READY
        elif command == "alone":
            messages = [ChatMessage("user", QUESTIONS[0])]
            answer = decode_tps(backend.start(messages, exactly(backend.tokens)))
        elif command == "kept":
            conversation = library.new(LOCAL_OWNER)
            settings = Settings(exactly(backend.tokens))
            answer = decode_tps(conversation.ask(backend, QUESTIONS[0], settings))
        elif command == "result":
            assert backend.last is not None
            answer = decode_tps(backend.last)
        print(json.dumps(answer), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve the model whose path, port and threads (0: glasschat chooses) are the arguments."""
    path, port, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    plan = plan_model(ModelOptions(path=path, slots=1, threads=threads or None))
    backend = MeasuredBackend(lambda progress: load_model(plan, progress), name=plan.info.name)
    with tempfile.TemporaryDirectory(prefix="glasschat-") as folder:
        library = Library(open_store(Path(folder) / "kept.db"))
        threading.Thread(target=steer, args=(backend, library), daemon=True).start()
        serve(backend, library, WebOptions(port=port))


if __name__ == "__main__":
    main()
