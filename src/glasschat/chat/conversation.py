"""A conversation in memory: turns, and the reply that is on its way."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_urlsafe

from glasschat.backends import Backend
from glasschat.engine import Generation, Snapshot
from glasschat.errors import EngineError, InvalidMessage
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Settings:
    """What one visitor has set: the system prompt and the sampling."""

    params: SamplingParams
    system: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was asked and what was answered; `reply` is None while it is on its way."""

    question: ChatMessage
    answer: ChatMessage | None = None
    reply: Snapshot | None = None


class Conversation:
    """Turns in a row. Safe to use from any thread.

    The reply lives here and in the engine, not in a page: a page that comes back finds it.
    """

    def __init__(self) -> None:
        self.id = token_urlsafe(16)
        self.settings: Settings | None = None
        self.watched_at = time.monotonic()
        self._lock = threading.RLock()
        self._turns: list[Turn] = []
        self._generation: Generation | None = None

    @property
    def generation(self) -> Generation | None:
        """The reply on its way; None when there is none."""
        with self._lock:
            self._settle()
            return self._generation

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns, the one being answered last."""
        with self._lock:
            self._settle()
            return tuple(self._turns)

    def watched(self) -> None:
        """Somebody is looking: the reply may go on."""
        self.watched_at = time.monotonic()

    def ask(self, backend: Backend, text: str, settings: Settings) -> Generation:
        """Send a user turn and begin its reply.

        Raises PromptError or EngineError; the conversation is then as it was.
        """
        if not text.strip():
            raise InvalidMessage("the message is empty: type something first")
        with self._lock:
            self._refuse_while_running()
            turn = Turn(ChatMessage("user", text))
            return self._begin(backend, [*self._turns, turn], settings)

    def regenerate(self, backend: Backend, settings: Settings) -> Generation:
        """Answer the last user turn anew. Raises as `ask` does; the old reply is then kept."""
        with self._lock:
            self._refuse_while_running()
            if not self._turns:
                raise InvalidMessage("there is nothing to answer yet: send a message first")
            last = Turn(self._turns[-1].question)
            return self._begin(backend, [*self._turns[:-1], last], settings)

    def stop(self) -> None:
        """End the reply on its way and keep what is there of it."""
        with self._lock:
            if self._generation is not None:
                self._generation.cancel()

    def clear(self) -> None:
        """Forget all turns; a reply on its way is ended."""
        with self._lock:
            self.stop()
            self._generation = None
            self._turns = []

    def _refuse_while_running(self) -> None:
        self._settle()
        if self._generation is not None:
            raise EngineError("a reply is still being written: stop it or wait for its end")

    def _begin(self, backend: Backend, turns: list[Turn], settings: Settings) -> Generation:
        generation = backend.start(_messages(turns, settings.system), settings.params)
        self._turns = turns
        self._generation = generation
        self.settings = settings
        self.watched()
        return generation

    def _settle(self) -> None:
        """Once the reply has ended, keep its text and figures and let its handle go."""
        generation = self._generation
        if generation is None or not generation.finished:
            return
        question = self._turns[-1].question
        self._turns[-1] = Turn(question, generation.message(), generation.snapshot())
        self._generation = None


def _messages(turns: Sequence[Turn], system: str) -> list[ChatMessage]:
    messages = [ChatMessage("system", system)] if system.strip() else []
    for turn in turns:
        messages.append(turn.question)
        if turn.answer is not None:
            messages.append(turn.answer)
    return messages
