"""A scripted model, for the engine's edge cases and for users' tests.

Its tokens are the 256 bytes and a few control tokens, so every text has ids and any byte can be
produced. It is no replacement for a real model where the model's behaviour matters.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from glasschat.errors import ReplyFailed
from glasschat.models.base import ForwardRow, Logits, Model, ModelInfo, SavedCache

BOS, END, HEADER, HEADER_END = 256, 257, 258, 259
_PIECES = {BOS: "<s>", END: "<|end|>", HEADER: "<|head|>", HEADER_END: "<|/head|>"}

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|head|>{{ message['role'] }}<|/head|>"
    "{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>{% endif %}"
)

Script = Callable[[Sequence[int]], "int | Logits"]
"""Maps all ids so far of one slot to the next id, or to a row of logits, float32 [vocab_size]."""


class ScriptedTokenizer:
    """Tokenizer with the bytes as ids 0 to 255, then the control tokens."""

    vocab_size = 260
    bos_id = BOS
    eos_id = END
    adds_bos = True
    end_ids = frozenset({END})
    control_ids = frozenset(_PIECES)
    hidden_ids = control_ids
    template_source = TEMPLATE

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Return the bytes of `text`; with `control`, the pieces become their tokens."""
        ids: list[int] = []
        rest = text
        while rest:
            found = [(rest.find(piece), i) for i, piece in _PIECES.items() if piece in rest]
            at, token_id = min(found) if control and found else (len(rest), -1)
            ids += rest[:at].encode()
            if token_id >= 0:
                ids.append(token_id)
                at += len(_PIECES[token_id])
            rest = rest[at:]
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """Return the byte itself, or the piece as written."""
        return bytes([token_id]) if token_id < 256 else _PIECES[token_id].encode()


class ScriptedRunner:
    """Runner that follows a script, and checks its KV cache as strictly as a real one.

    `gate`, when given, lets one forward through per release: a test can look between steps.
    `forwards` has the rows of every call so far. `idle_slots_cost` may be set by a test.
    """

    vocab_size = ScriptedTokenizer.vocab_size

    def __init__(
        self,
        script: Script,
        *,
        slots: int = 4,
        context: int = 512,
        gate: threading.Semaphore | None = None,
    ) -> None:
        self.slots = slots
        self.context = context
        self.closed = False
        self.idle_slots_cost = False
        self.forwards: list[list[ForwardRow]] = []
        self.cache: list[list[int]] = [[] for _ in range(slots)]
        self._script = script
        self._gate = gate

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        """Append the ids and call the script; a script that raises fails the whole batch.

        Returns float32 [n, vocab_size], as ModelRunner.forward does.
        """
        if self._gate is not None:
            self._gate.acquire()
        self.forwards.append(list(rows))
        lengths = [len(self.cache[row.slot]) for row in rows]
        wanted: list[Logits] = []
        try:
            for row in rows:
                cache = self.cache[row.slot]
                if row.start != len(cache) or row.start + len(row.ids) > self.context:
                    raise ReplyFailed(
                        "slot {slot} holds {held} of {context} positions and {count} were to "
                        "be put at {start}",
                        slot=row.slot,
                        held=len(cache),
                        context=self.context,
                        count=len(row.ids),
                        start=row.start,
                    )
                cache.extend(row.ids)
                if row.wants_logits:
                    wanted.append(self._row(cache))
        except Exception:
            for row, length in zip(rows, lengths, strict=True):
                del self.cache[row.slot][length:]
            raise
        return np.array(wanted, dtype=np.float32).reshape(-1, self.vocab_size)

    def truncate(self, slot: int, length: int) -> bool:
        """Remove the positions from `length` on."""
        del self.cache[slot][length:]
        return True

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        """Copy the first `length` positions."""
        self.cache[target] = self.cache[source][:length]
        return True

    def save(self, slot: int) -> SavedCache:
        """Return the slot's ids, int64 [length]."""
        return np.array(self.cache[slot], dtype=np.int64)

    def restore(self, slot: int, saved: SavedCache) -> bool:
        """Put saved ids back into the slot."""
        assert isinstance(saved, np.ndarray)
        self.cache[slot] = saved.tolist()
        return True

    def cached_length(self, slot: int) -> int:
        """Return the number of positions held."""
        return len(self.cache[slot])

    def open_gate(self) -> None:
        """Let every forward through from now on."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.release()

    def close(self) -> None:
        """Record that it was called."""
        self.closed = True

    def _row(self, cache: Sequence[int]) -> Logits:
        """Return the script's row of logits, float32 [vocab_size]; one id becomes a peak of 30."""
        said = self._script(cache)
        if isinstance(said, np.ndarray):
            return np.asarray(said, dtype=np.float32)
        row = np.zeros(self.vocab_size, dtype=np.float32)
        row[said] = 30.0
        return row


def scripted_model(
    script: Script | str,
    *,
    slots: int = 4,
    context: int = 512,
    gate: threading.Semaphore | None = None,
) -> Model:
    """Return a model that follows `script`; a text is the reply to every prompt."""
    runner = ScriptedRunner(
        reply_script(script) if isinstance(script, str) else script,
        slots=slots,
        context=context,
        gate=gate,
    )
    info = ModelInfo(
        name="scripted",
        path=Path("scripted"),
        architecture="scripted",
        quantization="none",
        parameters=0,
        file_bytes=0,
        train_context=context,
        vocab_size=runner.vocab_size,
    )
    return Model(info, ScriptedTokenizer(), runner)


def reply_script(text: str) -> Script:
    """Return a script that answers `text` after the last open header, then ends."""
    reply: list[int] = [*text.encode(), END]

    def script(ids: Sequence[int]) -> int:
        start: int = max((i + 1 for i, token in enumerate(ids) if token == HEADER_END), default=0)
        return reply[min(len(ids) - start, len(reply) - 1)]

    return script
