"""A backend on the scripted model, whose steps a test can let through one by one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Library, Run, Settings
from glasschat.chat.store import LOCAL_OWNER
from glasschat.models.scripted import Script, ScriptedRunner, scripted_model
from glasschat.sampling import SamplingParams

DEFAULTS = Settings(SamplingParams(temperature=0.0))

MakeBackend = Callable[..., LocalBackend]


@pytest.fixture
def make_backend() -> Iterator[MakeBackend]:
    """Makes a ready backend that says a text, or follows a script; closed when the test ends."""
    with ExitStack() as stack:

        def make(
            script: Script | str = "an answer",
            *,
            max_waiting: int = 8,
            slots: int = 1,
            context: int = 512,
            gate: threading.Semaphore | None = None,
        ) -> LocalBackend:
            model = scripted_model(script, slots=slots, context=context, gate=gate)
            assert isinstance(model.runner, ScriptedRunner)
            backend = LocalBackend(lambda progress: model, name="scripted", max_waiting=max_waiting)
            backend.load()
            stack.callback(backend.close)
            stack.callback(model.runner.open_gate)
            return backend

        yield make


def alone() -> Conversation:
    """A conversation that nothing keeps."""
    return Library().new(LOCAL_OWNER)


def answered(conversation: Conversation) -> Run:
    """Wait for the reply on its way, and what became of it."""
    generation = conversation.last_reply
    if generation is not None:
        generation.result(10)
    last = conversation.tree.last
    assert last is not None
    return last.runs[-1]


def texts(conversation: Conversation) -> list[str]:
    """The texts of the open path."""
    return [node.text for node in conversation.tree.path]
