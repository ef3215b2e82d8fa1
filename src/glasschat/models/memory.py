"""What a model will need, and what there is."""

from dataclasses import dataclass
from pathlib import Path

import psutil

from glasschat.errors import NotEnoughMemory

# Activations of one micro-batch beside the logits; generous for 8B models, measured on 135M.
WORKSPACE_BYTES = 192 * 2**20
MICRO_BATCH = 512


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Weights, KV cache and workspace against what is available; all in bytes but the counts."""

    weights: int
    per_token: int
    vocab_size: int
    context: int
    slots: int
    available: int

    @property
    def cache(self) -> int:
        """The KV cache of all slots."""
        return self.per_token * self.context * self.slots

    @property
    def total(self) -> int:
        """Everything together."""
        return self.weights + self.cache + self.vocab_size * MICRO_BATCH * 4 + WORKSPACE_BYTES

    @property
    def fits(self) -> bool:
        """Whether there is room for it."""
        return self.total <= self.available

    @property
    def cached_tokens_that_fit(self) -> int:
        """How many positions of KV cache there is room for beside the rest."""
        room = self.available - (self.total - self.cache)
        return max(0, room // self.per_token) if self.per_token else 0


def check_memory(need: MemoryNeed, name: str) -> None:
    """Raise NotEnoughMemory, with settings that would fit, when `need` does not."""
    if need.fits:
        return
    tokens = need.cached_tokens_that_fit
    if tokens >= 512:
        slots = max(1, min(need.slots, tokens // need.context)) if need.context <= tokens else 1
        context = min(need.context, tokens // slots // 256 * 256)
        advice = f"--slots {slots} --context {context} would fit"
    else:
        advice = "no context would fit: choose a smaller model or quantisation, or free memory"
    raise NotEnoughMemory(
        f"{name} needs {_gib(need.total)} ({_gib(need.weights)} weights and {_gib(need.cache)} "
        f"cache for {need.slots} x {need.context:,} tokens) and {_gib(need.available)} are free: "
        f"{advice}"
    )


def available_bytes() -> int:
    """Memory that can be had without swapping, the container's own limit considered."""
    free = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return min(free, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return free


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
