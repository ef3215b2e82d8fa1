"""Runner over llama.cpp, on the low-level calls of llama-cpp-python.

One context holds all slots as its sequences. Up to four have a KV cache each, so that idle ones
cost the others nothing; more share a unified one, which is faster in large batches
(docs/decisions/kv-caches.md).
"""

import ctypes
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glasschat.errors import NotEnoughMemory, ReplyFailed
from glasschat.messages import Message
from glasschat.models.base import ForwardRow, Logits, SavedCache
from glasschat.models.llama_cpp.library import llama_cpp
from glasschat.models.thread_tuner import ThreadTuner

# llama.cpp works through a batch in pieces of this many tokens.
MICRO_BATCH = 512
MOST_SEPARATE = 4
# Between separate caches a copy moves a whole one; computing fewer tokens than these is quicker.
SHORTEST_COPY = 64

_DECODE_ERRORS = {
    1: Message("the KV cache has no room left"),
    2: Message("the computation was aborted"),
    -1: Message("the batch was refused as invalid"),
}


class LlamaCppRunner:
    """Implements ModelRunner over a loaded llama.cpp model, which it owns and frees on close.

    At most `threads` compute; with `adaptive` their number follows the machine's load.
    """

    def __init__(
        self, model: Any, *, slots: int, context: int, threads: int, adaptive: bool = False
    ) -> None:
        self.slots = slots
        self.context = context
        self._threads = threads
        self._tuner = ThreadTuner(threads) if adaptive else None
        self._model = model
        vocab = llama_cpp.llama_model_get_vocab(model)
        self.vocab_size: int = llama_cpp.llama_vocab_n_tokens(vocab)
        # A recurrent state has no positions to cut or to share at.
        self._divisible = not (
            llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model)
        )
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = slots * context
        params.n_batch = MICRO_BATCH + slots
        params.n_ubatch = MICRO_BATCH
        params.n_seq_max = slots
        self._unified = self.idle_slots_cost = slots > MOST_SEPARATE
        params.kv_unified = self._unified
        params.n_threads = threads
        params.n_threads_batch = threads
        params.no_perf = True
        self._context: Any = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            llama_cpp.llama_model_free(model)
            raise NotEnoughMemory(
                "llama.cpp could not make a KV cache for {slots} slots of {context:,} tokens: "
                "{advice}",
                slots=slots,
                context=context,
                advice=Message("choose fewer --slots or a smaller --context"),
            )
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        self._tokens = _view(self._batch.token, params.n_batch, np.int32)
        self._positions = _view(self._batch.pos, params.n_batch, np.int32)
        self._wants = _view(self._batch.logits, params.n_batch, np.int8)
        _view(self._batch.n_seq_id, params.n_batch, np.int32)[:] = 1
        self._viewed = (0, 0)
        self._rows: Logits = np.empty((0, self.vocab_size), dtype=np.float32)
        # Each seq_id[i] points to one int32; llama.cpp lays them out one by one.
        self._seq_ids = [self._batch.seq_id[i] for i in range(params.n_batch)]

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        """Append the rows to their slots and return the wanted logits, float32 [n, vocab_size].

        Raises ReplyFailed, with every slot as it was.
        """
        filled = 0
        outputs = 0
        for slot, start, ids, wants_logits in rows:
            end = filled + len(ids)
            if len(ids) == 1:  # nearly always: not worth an array
                self._tokens[filled] = ids[0]
                self._positions[filled] = start
            else:
                self._tokens[filled:end] = ids
                self._positions[filled:end] = np.arange(start, start + len(ids), dtype=np.int32)
                self._wants[filled : end - 1] = 0
            for index in range(filled, end):
                self._seq_ids[index][0] = slot
            self._wants[end - 1] = wants_logits
            outputs += wants_logits
            filled = end
        self._batch.n_tokens = filled
        started = self._set_threads(filled)
        status = llama_cpp.llama_decode(self._context, self._batch)
        if status != 0:
            for row in rows:
                self.truncate(row.slot, row.start)
            what = _DECODE_ERRORS.get(status, Message("the computation failed"))
            raise ReplyFailed(
                "llama.cpp: {what} (llama_decode gave {status})", what=what, status=status
            )
        # Waits for a GPU. Outputs lie one after the other, in the order of the batch.
        pointer = llama_cpp.llama_get_logits(self._context)
        if self._tuner is not None:
            self._tuner.record_step(filled, time.perf_counter() - started)
        if outputs == 0:
            return np.empty((0, self.vocab_size), dtype=np.float32)
        return self._logits(pointer, outputs)

    def _logits(self, pointer: Any, outputs: int) -> Logits:
        """Return the rows at `pointer`, float32 [outputs, vocab_size].

        llama.cpp seldom moves them, and making a view is slow, so the last view is kept.
        """
        address = ctypes.addressof(pointer.contents)
        if (address, outputs) != self._viewed:
            view = _view(pointer, outputs * self.vocab_size, np.float32)
            self._rows = view.reshape(outputs, -1)
            self._viewed = (address, outputs)
        return self._rows

    def _set_threads(self, tokens: int) -> float:
        """Set the number of threads for a step of `tokens`; return the time of its start."""
        if self._tuner is not None:
            wanted = self._tuner.choose(tokens)
            if wanted != self._threads:
                llama_cpp.llama_set_n_threads(self._context, wanted, wanted)
                self._threads = wanted
        return time.perf_counter()

    def truncate(self, slot: int, length: int) -> bool:
        """Remove all positions of `slot` from `length` on; False if only all could be removed."""
        if length == self.cached_length(slot):
            return True
        if length > 0 and llama_cpp.llama_memory_seq_rm(self._memory, slot, length, -1):
            return True
        if self.slots == 1:
            # Clearing all also puts the next cell back to the first, which exact mode needs.
            llama_cpp.llama_memory_clear(self._memory, False)
        else:
            llama_cpp.llama_memory_seq_rm(self._memory, slot, -1, -1)
        return length == 0

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        """Copy the first `length` positions of `source` to `target`; False if impossible."""
        llama_cpp.llama_memory_seq_rm(self._memory, target, -1, -1)
        if not self._divisible:
            return False
        if self._unified:
            llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)
            return True
        if length < SHORTEST_COPY:
            return False
        # Between separate caches llama.cpp copies whole ones only, and ends the process if asked
        # for a part; what is too much is cut off afterwards.
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, -1, -1)
        return self.truncate(target, length)

    def save(self, slot: int) -> SavedCache | None:
        """Return the slot's state as llama.cpp serialises it, uint8 [bytes]; None if it fails."""
        size = llama_cpp.llama_state_seq_get_size(self._context, slot)
        saved = np.empty(size, dtype=np.uint8)
        written = llama_cpp.llama_state_seq_get_data(self._context, _bytes(saved), size, slot)
        return saved if written == size else None

    def restore(self, slot: int, saved: SavedCache) -> bool:
        """Make `slot` hold a saved state; False if llama.cpp refuses it."""
        assert isinstance(saved, np.ndarray)
        self.truncate(slot, 0)
        if llama_cpp.llama_state_seq_set_data(self._context, _bytes(saved), saved.nbytes, slot):
            return True
        self.truncate(slot, 0)
        return False

    def cached_length(self, slot: int) -> int:
        """Return how many positions `slot` holds, by llama.cpp's own count."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, slot)) + 1

    def close(self) -> None:
        """Free the context and the model."""
        if self._context:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)
            llama_cpp.llama_model_free(self._model)
            self._context = None


def _bytes(array: NDArray[np.uint8]) -> Any:
    """Return a ctypes pointer to a uint8 array."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _view(pointer: Any, length: int, dtype: Any) -> NDArray[Any]:
    """Return a NumPy array, [length], over C memory, without copying.

    The ctypes helper is much slower.
    """
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    assert address is not None
    size = length * np.dtype(dtype).itemsize
    memory = memoryview((ctypes.c_char * size).from_address(address))
    return np.frombuffer(memory, dtype=dtype)
