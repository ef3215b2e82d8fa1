"""The Hugging Face runner: transformers' stock modelling code over our slots."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from glasschat.errors import GlasschatError, ReplyFailed
from glasschat.models.base import ForwardRow, Logits, SavedCache
from glasschat.models.hf import attention, checks, flash
from glasschat.models.hf.attention import LayerAttention
from glasschat.models.hf.cache import SavedSlot, SlotCache
from glasschat.models.hf.errors import release_memory, reply_failure, start_failure
from glasschat.models.hf.graphs import Capture, CudaCapture, GraphDecoder
from glasschat.models.hf.library import Tensor, torch
from glasschat.models.hf.packing import PackedBatch, check_row, pack_rows
from glasschat.models.thread_tuner import ThreadTuner


class HostRows:
    """Copies logits to host memory, float32 [n, width]; the result is valid until the next call."""

    def __init__(self, width: int, *, pinned: bool = True) -> None:
        """`pinned` memory is never swapped out; it exists only where there is a GPU."""
        self._width = width
        self._pinned = pinned
        self._rows: Tensor | None = None

    def fetch(self, logits: Tensor) -> Logits:
        """Return the rows of `logits`, [n, at least width] of any float, once they have arrived."""
        count = logits.shape[0]
        if self._rows is None or self._rows.shape[0] < count:
            self._rows = self._allocate(count)
        rows = self._rows[:count]
        # Made float32 on the device: on the host it would cost a pass of the engine's thread.
        rows.copy_(logits[:, : self._width].float(), non_blocking=True)
        if logits.is_cuda:
            torch.cuda.current_stream(logits.device).synchronize()
        found: Logits = rows.numpy()
        return found

    def _allocate(self, count: int) -> Tensor:
        """Allocate float32 [count, width], pinned if possible."""
        shape = (count, self._width)
        if self._pinned:
            try:
                return torch.empty(shape, dtype=torch.float32, pin_memory=True)
            except RuntimeError:
                # The system grants only so much of it; the rest is slower, and right.
                self._pinned = False
        return torch.empty(shape, dtype=torch.float32)


# The most rows that a captured graph serves at once.
LARGEST_GRAPH = 64


class HfRunner:
    """Implements ModelRunner over a causal language model of transformers, which it owns.

    `module` is in evaluation mode, on `device`. `vocab_size` cuts the logits where the embedding
    was padded to more. On a CPU at most `threads` compute, by default as many as torch chooses;
    with `adaptive` their number follows the machine's load. On CUDA single tokens go through
    captured graphs unless `graphs` is off; elsewhere they do with a `capture` that is given. With
    `check` the model's logits are compared with transformers' own before it serves, for families
    that no test covers.

    Raises InvalidModel for a model that glasschat cannot serve, NotEnoughMemory where the slots do
    not fit; what was allocated is freed then.
    """

    idle_slots_cost = False

    def __init__(
        self,
        module: Any,
        *,
        slots: int,
        context: int,
        device: str,
        vocab_size: int | None = None,
        threads: int | None = None,
        adaptive: bool = False,
        graphs: bool = True,
        capture: Capture | None = None,
        check: bool = False,
    ) -> None:
        self.slots = slots
        self.context = context
        self._module = module
        self._device = torch.device(device)
        self._known_ids = int(module.get_input_embeddings().weight.shape[0])
        self.vocab_size = min(vocab_size or self._known_ids, self._known_ids)
        self._threads = threads
        self._tuner = (
            ThreadTuner(threads) if adaptive and threads and self._device.type == "cpu" else None
        )
        # torch's number of threads is partly a thread's own: which thread it was set for.
        self._threads_set: tuple[int, int] | None = None
        # Slots whose logits were not numbers: what they hold would spoil longer neighbours. And
        # those that ended on a part of a prompt, which has no logits that would show it.
        self._tainted: set[int] = set()
        self._unproven: set[int] = set()
        on_cuda = self._device.type == "cuda"
        if on_cuda and graphs and capture is None:
            capture = CudaCapture(self._device)
        self._cache = SlotCache(
            slots=slots,
            context=context,
            by_token=on_cuda or capture is not None,
            padding=LARGEST_GRAPH if capture is not None else 0,
        )
        self._host_rows = HostRows(self.vocab_size) if on_cuda else None
        self._flash = False
        self._unpacks = False
        self._graphs: GraphDecoder | None = None
        attention.register()
        failure: GlasschatError | None = None
        try:
            self._begin(check)
        except Exception as error:
            kind = type(module).__name__
            failure = start_failure(error, kind, self._device, slots, context)
        if failure is not None:
            # Not within the handler: the traceback holds on to the tensors.
            self.close()
            raise failure
        if capture is not None and not self._unpacks:
            self._graphs = GraphDecoder(
                self._compute, self._cache, self._device, flash=self._flash, capture=capture
            )

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        """Append the rows to their slots and return the wanted logits, float32 [n, vocab_size].

        Raises ReplyFailed, with every slot as it was.
        """
        for row in rows:
            check_row(row, self._cache.lengths[row.slot], self.context, self._known_ids)
        started = self._set_threads(sum(len(row.ids) for row in rows))
        failure: ReplyFailed | None = None
        try:
            with torch.inference_mode():
                logits = self._run(rows)
        except Exception as error:
            failure = reply_failure(error, self._device)
        if failure is not None:
            # Not within the handler: the traceback holds on to the tensors.
            release_memory(self._device)
            raise failure
        if self._tuner is not None:
            tokens = sum(len(row.ids) for row in rows)
            self._tuner.record_step(tokens, time.perf_counter() - started)
        peaks = iter(logits.max(axis=1, initial=-np.inf))
        for row in rows:
            self._cache.lengths[row.slot] = row.start + len(row.ids)
            self._unproven.discard(row.slot)
            if not row.wants_logits:
                self._unproven.add(row.slot)
            elif np.isnan(next(peaks)):
                self._tainted.add(row.slot)
        return logits

    def truncate(self, slot: int, length: int) -> bool:
        """Remove all positions of `slot` from `length` on; a slot with NaN is emptied."""
        if self._holds_numbers(slot):
            self._cache.lengths[slot] = min(length, self._cache.lengths[slot])
            return True
        self._tainted.remove(slot)
        self._cache.clean(slot)
        return length == 0

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        """Copy the first `length` positions of `source` to `target`; False if they hold NaN."""
        self.truncate(target, 0)
        if not self._holds_numbers(source):
            return False
        self._cache.copy(source, target, length)
        return True

    def save(self, slot: int) -> SavedCache | None:
        """Return a copy of `slot` in main memory; None if it cannot be trusted."""
        return self._cache.save(slot) if self._holds_numbers(slot) else None

    def restore(self, slot: int, saved: SavedCache) -> bool:
        """Make `slot` hold a saved copy."""
        assert isinstance(saved, SavedSlot)
        self.truncate(slot, 0)
        self._cache.restore(slot, saved)
        return True

    def cached_length(self, slot: int) -> int:
        """Return how many positions `slot` holds."""
        return self._cache.lengths[slot]

    @property
    def cache_bytes(self) -> int:
        """Return how many bytes the KV caches take."""
        return self._cache.bytes

    def close(self) -> None:
        """Free the model and the caches."""
        self._module = None
        self._graphs = None
        self._host_rows = None
        self._cache.drop()
        release_memory(self._device)

    # --- computing ------------------------------------------------------------------------

    def _run(self, rows: Sequence[ForwardRow]) -> Logits:
        """Compute the rows, through a graph if possible; return logits, float32 [n, vocab_size]."""
        decoded = self._graphs.decode(rows) if self._graphs is not None else None
        if decoded is None:
            layout = pack_rows(rows, self._device)
            if self._flash:
                layout = flash.use_flash(layout, self.context)
            decoded = self._compute(layout)
        return self._to_host(decoded)

    def _compute(
        self, layout: PackedBatch, seen: dict[int, LayerAttention] | None = None
    ) -> torch.Tensor:
        """Run the model; return logits, [wanted, width], on the device."""
        self._cache.set_slot_mapping(layout.slot_mapping)
        with attention.attention_groups(layout.groups, seen):
            output = self._module(
                input_ids=layout.ids,
                position_ids=layout.positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=layout.wanted,
            )
        return output.logits[0]

    def _to_host(self, logits: torch.Tensor) -> Logits:
        """Copy logits, [n, width], to host memory as float32 [n, vocab_size]."""
        # The one place where results leave the device: whole rows, [n, vocabulary].
        if self._host_rows is not None:
            return self._host_rows.fetch(logits)
        rows: Logits = logits[:, : self.vocab_size].float().cpu().numpy()
        return rows

    def _holds_numbers(self, slot: int) -> bool:
        """Return whether a slot has no NaN; it is searched where no logits have shown it."""
        if slot in self._unproven:
            self._unproven.remove(slot)
            if not self._cache.is_finite(slot):
                self._tainted.add(slot)
        return slot not in self._tainted

    def _set_threads(self, tokens: int) -> float:
        """Set the number of threads for a step of `tokens`; return the time of its start."""
        wanted = self._threads if self._tuner is None else self._tuner.choose(tokens)
        if wanted and self._threads_set != (here := (threading.get_ident(), wanted)):
            torch.set_num_threads(wanted)
            self._threads_set = here
        return time.perf_counter()

    # --- what can go wrong ----------------------------------------------------------------

    def _begin(self, check: bool) -> None:
        """Run a few tokens: this allocates the caches, and shows whether slots are right here."""
        config = self._module.config.get_text_config()
        ids = checks.probe_ids(self._known_ids)[: self.context]
        self._module.set_attn_implementation(attention.IMPLEMENTATION)
        seen: dict[int, LayerAttention] = {}
        with torch.inference_mode():
            self._compute(pack_rows([ForwardRow(0, 0, ids, True)], self._device), seen)
        checks.check_layers(config, seen, self._cache.layers, self.context)
        checks.fix_rope_frequencies(self._module, self.context)
        # Where a model unpacks its cache before it attends, a part of it at a time is enough.
        self._unpacks = any(
            self._cache.head_shape(layer) != (asked.kv_heads, asked.width)
            for layer, asked in seen.items()
        )
        if not self._unpacks:
            self._flash = flash.flash_usable(seen.values(), self._module.dtype, self._device)
        if check:
            theirs = checks.reference_logits(self._module, ids)
            for start, end in ((0, 9), (9, 10), (10, len(ids))):
                last = self.slots - 1
                ours = self.forward([ForwardRow(last, start, ids[start:end], True)])
                checks.check_agreement(config.model_type, ours[0], theirs[end - 1])
            self.truncate(last, 0)
