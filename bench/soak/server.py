"""Server under the soak test, in a child process: pages, API and store, as `glasschat web` has.

Replies of pages are as short as those that programs wait for: arguments are port, tokens, slots,
waiting, the store's file, and the model's or none for one that is scripted.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from glasschat.backends import LocalBackend
from glasschat.chat import Library
from glasschat.chat.store import open_store
from glasschat.config import ModelOptions, WebOptions
from glasschat.engine import Generation
from glasschat.models.base import Model
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import scripted_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from glasschat.web.server import serve

CONTEXT = 2048
PREFIX_CACHE_BYTES = 16 * 2**20
# A step of a scripted model that takes no time would keep others from the interpreter's lock.
STEP_S = 0.004


class ShortReplyBackend(LocalBackend):
    """Backend that limits replies without a limit of their own to `tokens` tokens."""

    tokens = 1

    def start(
        self, messages: Sequence[ChatMessage], params: SamplingParams, **options: Any
    ) -> Generation:
        """Start a reply with a limit; otherwise as LocalBackend.start."""
        if params.max_new_tokens is None:
            params = replace(params, max_new_tokens=self.tokens)
        return super().start(messages, params, **options)


def scripted(ids: Sequence[int]) -> int:
    """Return the next letter of a reply that has no end."""
    time.sleep(STEP_S)
    return ord("a") + len(ids) % 26


def main() -> None:
    """Serve the model of the arguments until SIGTERM."""
    port, tokens, slots, waiting, store, *model = sys.argv[1:]
    if model:
        plan = plan_model(ModelOptions(path=Path(model[0]), slots=int(slots), context=CONTEXT))

    def load(progress: Callable[[float], None]) -> Model:
        if model:
            return load_model(plan, progress)
        return scripted_model(scripted, slots=int(slots), context=CONTEXT)

    # Full at once: memory is to be flat.
    backend = ShortReplyBackend(
        load, name="soaked", max_waiting=int(waiting), prefix_cache_bytes=PREFIX_CACHE_BYTES
    )
    backend.tokens = int(tokens)
    serve(backend, Library(open_store(store)), WebOptions(port=int(port)))


if __name__ == "__main__":
    main()
