"""Writes growing replies to the store, from a thread of its own.

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
from glasschat.chat.store.replies import Chunk, StoredReply
from glasschat.chat.store.store import Store
from glasschat.chat.store.tracing import append_traces, packed_steps, packed_told, put_prompt
from glasschat.engine import Generation, Reply, Token
from glasschat.errors import StoreError
from glasschat.glass import recorded_steps, remote_tokens

log = logging.getLogger(__name__)

EVERY_S = 0.5
LONGEST_PAUSE_S = 5.0


@dataclass(slots=True)
class Following:
    """A reply on its way to the store: how many steps, chunks and traces are there already."""

    reply: StoredReply
    generation: Reply
    steps: int = 0
    chunks: int = 0
    traces: int = 0
    signed_at: int = 0


class ReplyWriter:
    """Keeps replies as they grow, at most `every_s` seconds behind. Safe to use from any thread."""

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
        """Why replies cannot be kept at the moment; None while they are."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """How many replies are growing, or have ended and are not kept yet."""
        with self._lock:
            return len(self._following)

    def follow(self, reply: StoredReply, generation: Reply) -> None:
        """Keep `generation` as it grows, until its end is kept."""
        with self._lock:
            self._following[generation.id] = Following(reply, generation)
        self._wake.set()

    def follows(self, generation_id: str) -> bool:
        """Whether a reply is growing, or has ended and is not kept yet."""
        with self._lock:
            return generation_id in self._following

    def flush(self) -> None:
        """Keep now what there is. Raises StoreError; all of it is then tried again."""
        with self._writing:
            self._write()

    def close(self) -> None:
        """Keep what there is and end the thread; a reply that has not ended is interrupted.

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
                text, ids, run = _whole(f)
                if not replies.end(connection, f.reply, text, ids, run, now):
                    lost.add(f.reply.run)
            kept = [(f, trace) for f, trace in chosen if f.reply.run not in lost]
            for f, _ in kept:
                if f.traces == 0 and isinstance(f.generation, Generation):
                    put_prompt(connection, f.reply.run, f.generation)
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
    """What the reply has grown by."""
    text, ids = text_and_ids(steps)
    return Chunk(f.reply, f.chunks, text, ids or ())


def _trace(f: Following, steps: Sequence[Token]) -> bytes:
    """How they were chosen; empty where that is not recorded."""
    if (told := remote_tokens(steps)) and any(step.chosen is not None for step in told):
        return packed_told(told)
    own = recorded_steps(steps)
    return packed_steps(own) if own else b""


def _whole(f: Following) -> tuple[str, tuple[int, ...] | None, Run]:
    """The reply with its earlier runs, and the run with its ending and figures."""
    text, ids = released_text_and_ids(f.generation)
    before = f.reply.ids
    whole = None if before is None or ids is None else (*before, *ids)
    return f.reply.text + text, whole, end_run(f.reply.started, f.generation.snapshot())
