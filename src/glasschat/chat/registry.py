"""All conversations of a process, and the watch over replies that nobody watches."""

import threading
import time

from glasschat.chat.conversation import Conversation


class Conversations:
    """All conversations of this process, by their unguessable ids.

    The least recently watched are forgotten beyond `most`. A reply that nobody has watched for
    `grace_s` seconds is cancelled, so that a closed tab frees the engine.
    """

    def __init__(self, *, most: int = 1000, grace_s: float = 4.0) -> None:
        self._most = most
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._by_id: dict[str, Conversation] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def find(self, conversation_id: str) -> Conversation | None:
        """The conversation of that id, if it is still here."""
        with self._lock:
            return self._by_id.get(conversation_id)

    def add(self) -> Conversation:
        """A new, empty conversation."""
        conversation = Conversation()
        with self._lock:
            self._by_id[conversation.id] = conversation
            if len(self._by_id) > self._most:
                idle = [c for c in self._by_id.values() if c.generation is None]
                if idle:
                    del self._by_id[min(idle, key=lambda c: c.watched_at).id]
        return conversation

    def cancel_unwatched(self) -> None:
        """Cancel every reply that nobody has watched for the grace time."""
        before = time.monotonic() - self._grace_s
        with self._lock:
            conversations = list(self._by_id.values())
        for conversation in conversations:
            if conversation.watched_at < before and conversation.generation is not None:
                conversation.stop()

    def keep_watch(self, every_s: float = 0.5) -> None:
        """Look after unwatched replies in the background, until `close`."""

        def run() -> None:
            while not self._closing.wait(every_s):
                self.cancel_unwatched()

        self._thread = threading.Thread(target=run, name="glasschat-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the background thread."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
