"""The real server in a process of its own, steered by lines on standard input.

    alone N      generate N tokens with nobody watching, answer with its decode speed
    ask N        begin a reply of N tokens in a new conversation, answer with its id
    result       wait for that reply, answer with its decode speed

Every answer is one line of JSON. The process ends when its input does.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from glasschat.backends import LocalBackend, Readiness
from glasschat.bench.setting import QUESTIONS, decode_tps
from glasschat.chat import Conversation, Library, Settings
from glasschat.chat.store import LOCAL_OWNER
from glasschat.config import ModelOptions, WebOptions
from glasschat.models.load import load_model, plan_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from glasschat.web.server import serve


def params(tokens: int) -> SamplingParams:
    """A reply of exactly so many tokens, the same every time."""
    return SamplingParams(
        seed=1, min_new_tokens=tokens, max_new_tokens=tokens, ignore_eos=True, max_length=8192
    )


def steer(backend: LocalBackend, library: Library) -> None:
    """Answer each line until there are no more, then end the server."""
    conversation: Conversation | None = None
    for line in sys.stdin:
        command, _, count = line.strip().partition(" ")
        if command == "ready":
            answer: object = backend.describe().readiness is Readiness.READY
        elif command == "alone":
            messages = [ChatMessage("user", QUESTIONS[0])]
            answer = decode_tps(backend.start(messages, params(int(count))))
        elif command == "ask":
            conversation = library.new(LOCAL_OWNER)
            conversation.ask(backend, QUESTIONS[0], Settings(params(int(count))))
            answer = conversation.id
        else:
            assert conversation is not None
            generation = conversation.generation
            if generation is not None:
                answer = decode_tps(generation)
            else:
                last = conversation.tree.last
                assert last is not None
                answer = last.runs[-1].timings.decode_tps
        print(json.dumps(answer), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve a model on a port with so many threads, 0 for as glasschat chooses: the arguments."""
    path, port, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    plan = plan_model(ModelOptions(path=path, slots=1, threads=threads or None))
    backend = LocalBackend(lambda progress: load_model(plan, progress), name=plan.info.name)
    library = Library()
    threading.Thread(target=steer, args=(backend, library), daemon=True).start()
    serve(backend, library, WebOptions(port=port))


if __name__ == "__main__":
    main()
