"""Changes of one conversation that wait for the store, retried where it fails."""

import threading
from collections import deque
from collections.abc import Callable

from glasschat.chat.store import ReplyWriter, Store
from glasschat.errors import ConversationNotFound, StoreConflict, StoreError

Change = Callable[[Store, ReplyWriter], object]


class Outbox:
    """Writes the changes of a conversation to the store, in their order.

    A change that fails waits, and those behind it with it, until the next `flush`: the chat goes
    on meanwhile, and `trouble` says what is wrong. A change that can never be written, because
    somebody deleted its conversation, is dropped. Without a store nothing is written.
    """

    def __init__(self, store: Store | None, writer: ReplyWriter | None) -> None:
        self._store = store
        self._writer = writer
        self._lock = threading.Lock()
        self._waiting: deque[Change] = deque()
        self._trouble: StoreError | None = None

    @property
    def trouble(self) -> StoreError | None:
        """Why the newest changes are not written; None while they are."""
        return self._trouble

    @property
    def waiting(self) -> bool:
        """Whether changes are still to be written."""
        return bool(self._waiting)

    def enqueue(self, change: Change) -> None:
        """Add a change for the next `flush`; this does not wait for the store."""
        if self._store is not None:
            self._waiting.append(change)

    def flush(self) -> None:
        """Write what waits, up to the first change that fails."""
        if self._store is None or self._writer is None:
            return
        with self._lock:
            while self._waiting:
                try:
                    self._waiting[0](self._store, self._writer)
                    self._trouble = None
                except (StoreConflict, ConversationNotFound) as error:
                    self._trouble = error
                except StoreError as error:
                    self._trouble = error
                    return
                self._waiting.popleft()
