"""Writes replies in progress to the store, from a thread for that alone.

It watches the engine's handles as a page does, so that the engine never waits for a disk. What
grew since the last time is committed for all replies at once; where that fails it is tried again,
and as the handles keep every token, nothing is lost as long as the process lives.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from glasschat.chat.node import Run, now_ms
from glasschat.chat.partial_reply import (
    end_run,
    released_steps,
    released_text_and_ids,
    text_and_ids,
)
from glasschat.chat.store import replies
from glasschat.chat.store.liveness import SIGN_OF_LIFE_MS
from glasschat.chat.store.remote_trace_packing import pack_remote_tokens
from glasschat.chat.store.replies import Chunk, StoredReply
from glasschat.chat.store.store import Store
from glasschat.chat.store.trace_packing import pack_steps
from glasschat.chat.store.trace_tables import append_traces, insert_prompt
from glasschat.engine import Generation, Reply, Token
from glasschat.errors import StoreError
from glasschat.glass import recorded_steps, remote_tokens

log = logging.getLogger(__name__)

EVERY_S = 0.5
LONGEST_PAUSE_S = 5.0


@dataclass(slots=True)
class Following:
    """A reply that is being stored: how many steps, chunks and traces the store has already."""

    reply: StoredReply
    generation: Reply
    steps: int = 0
    chunks: int = 0
    traces: int = 0
    signed_at: int = 0


class ReplyWriter:
    """Stores replies as they are written, at most `every_s` seconds behind.

    Safe to use from any thread.
    """

    def __init__(self, store: Store, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._following: dict[str, Following] = {}
        self._trouble: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="glasschat-store", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> StoreError | None:
        """Why replies cannot be stored at the moment; None while they are."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """How many replies are in progress, or have ended and are not stored yet."""
        with self._lock:
            return len(self._following)

    def follow(self, reply: StoredReply, generation: Reply) -> None:
        """Store `generation` as it is written, until its end is stored."""
        with self._lock:
            self._following[generation.id] = Following(reply, generation)
        self._wake.set()

    def follows(self, generation_id: str) -> bool:
        """Return whether a reply is in progress, or has ended and is not stored yet."""
        with self._lock:
            return generation_id in self._following

    def flush(self) -> None:
        """Store now what there is. Raises StoreError; all of it is then tried again."""
        with self._writing:
            self._write()

    def close(self) -> None:
        """Store what there is and end the thread; a reply that has not ended is interrupted.

        Raises StoreError if something could not be kept.
        """
        self._closing.set()
        self._wake.set()
        self._thread.join()
        with self._writing:
            self._write(closing=True)

    def _run(self) -> None:
        pause = self._every_s
        while True:
            self._wake.wait()
            if self._closing.wait(pause):
                return
            with self._lock:
                if not self._following:
                    self._wake.clear()
                    # Whoever closes may have called between the two: that call is gone now.
                    if self._closing.is_set():
                        return
                    continue
            try:
                self.flush()
                pause = self._every_s
            except StoreError as error:
                if self._trouble is None or str(self._trouble) != str(error):
                    log.error("replies are not being kept: %s", error)
                self._trouble = error
                pause = min(2 * pause, LONGEST_PAUSE_S)
            except Exception:
                log.exception("replies are not being kept")
                self._trouble = StoreError("replies are not being kept: the log says why")
                pause = LONGEST_PAUSE_S

    def _write(self, *, closing: bool = False) -> None:
        with self._lock:
            following = list(self._following.values())
        over = [f for f in following if closing or f.generation.finished]
        growing = [(f, released_steps(f.generation, f.steps)) for f in following if f not in over]
        now = now_ms()
        due = [(f, steps) for f, steps in growing if steps or now - f.signed_at >= SIGN_OF_LIFE_MS]
        if not over and not due:
            return
        # Packed before the transaction, which others may be waiting for.
        last = [(f, f.generation.steps(f.steps)) for f in over]
        chosen = [(f, trace) for f, steps in (*due, *last) if (trace := _trace(f, steps))]
        with self._store.database.write() as connection:
            lost = replies.append(connection, [_chunk(f, steps) for f, steps in due], now)
            for f in over:
                text, ids, run = _complete(f)
                if not replies.end(connection, f.reply, text, ids, run, now):
                    lost.add(f.reply.run)
            kept = [(f, trace) for f, trace in chosen if f.reply.run not in lost]
            for f, _ in kept:
                if f.traces == 0 and isinstance(f.generation, Generation):
                    insert_prompt(connection, f.reply.run, f.generation)
            append_traces(connection, [(f.reply.run, f.traces, trace) for f, trace in kept])
        # Committed: only now is it known that nothing has to be written again.
        self._trouble = None
        for f, steps in due:
            f.steps, f.signed_at = f.steps + len(steps), now
            f.chunks += bool(steps)
        for f, _ in kept:
            f.traces += 1
        gone = {f.generation.id for f in over}
        gone |= {f.generation.id for f in following if f.reply.run in lost}
        with self._lock:
            for generation_id in gone:
                self._following.pop(generation_id, None)


def _chunk(f: Following, steps: Sequence[Token]) -> Chunk:
    """Return what the reply has more than the store has."""
    text, ids = text_and_ids(steps)
    return Chunk(f.reply, f.chunks, text, ids or ())


def _trace(f: Following, steps: Sequence[Token]) -> bytes:
    """Return how tokens were chosen, packed; empty where that is not recorded."""
    if (told := remote_tokens(steps)) and any(step.chosen is not None for step in told):
        return pack_remote_tokens(told)
    own = recorded_steps(steps)
    return pack_steps(own) if own else b""


def _complete(f: Following) -> tuple[str, tuple[int, ...] | None, Run]:
    """Return the text and ids of a reply with its earlier runs, and the run with its ending."""
    text, ids = released_text_and_ids(f.generation)
    before = f.reply.ids
    all_ids = None if before is None or ids is None else (*before, *ids)
    return f.reply.text + text, all_ids, end_run(f.reply.started, f.generation.snapshot())
