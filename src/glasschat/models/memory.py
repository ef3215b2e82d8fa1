"""Memory and cores: what a model needs, and what the machine has."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import psutil

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.errors import ContextTooLong, NotEnoughMemory
from glasschat.messages import Message

# Activations of one micro-batch beside the logits; generous for 8B models, measured on 135M.
WORKSPACE_BYTES = 192 * 2**20
MICRO_BATCH = 512
# Where a container sees its own limits, with cgroup v2.
CGROUP = Path("/sys/fs/cgroup")


class ModelSizes(Protocol):
    """Sizes that a model file states; GgufHeader is one."""

    @property
    def file_bytes(self) -> int:
        """Return the bytes of the weights."""

    @property
    def kv_bytes_per_token(self) -> int:
        """Return the bytes of one position of KV cache, over all layers."""

    @property
    def vocab_size(self) -> int:
        """Return the length of a row of logits."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Weights, KV cache and workspace against the available memory; all in bytes but the counts.

    A row of logits for each token of a micro-batch comes on top of `workspace`; `vocab_size` is 0
    where there are none. `place` names the device that has the memory, where it is not the machine
    itself.
    """

    weights: int
    per_token: int
    vocab_size: int
    context: int
    slots: int
    available: int
    workspace: int = WORKSPACE_BYTES
    place: str = ""

    @property
    def cache(self) -> int:
        """Return the bytes of the KV cache of all slots."""
        return self.per_token * self.context * self.slots

    @property
    def total(self) -> int:
        """Return the bytes of everything together."""
        return self.weights + self.cache + self.vocab_size * MICRO_BATCH * 4 + self.workspace

    @property
    def fits(self) -> bool:
        """Return whether the need is within what is available."""
        return self.total <= self.available

    @property
    def cached_tokens_that_fit(self) -> int:
        """Return how many positions of KV cache fit beside the rest."""
        room = self.available - (self.total - self.cache)
        return max(0, room // self.per_token) if self.per_token else 0


def memory_need(sizes: ModelSizes, context: int, slots: int, available: int) -> MemoryNeed:
    """Return what llama.cpp needs for `slots` caches of `context` positions of a model."""
    return MemoryNeed(
        weights=sizes.file_bytes,
        per_token=sizes.kv_bytes_per_token,
        vocab_size=sizes.vocab_size,
        context=context,
        slots=slots,
        available=available,
    )


def check_memory(need: MemoryNeed, name: str) -> None:
    """Raise NotEnoughMemory, with settings that would fit, when `need` does not."""
    if need.fits:
        return
    place = need.place and Message(" on {place}", place=need.place)
    what = Message(
        "{name} needs {total} ({weights} weights and {cache} cache for {slots} x {context:,} "
        "tokens) and {available} are free{place}",
        name=name,
        total=_gib(need.total),
        weights=_gib(need.weights),
        cache=_gib(need.cache),
        slots=need.slots,
        context=need.context,
        available=_gib(need.available),
        place=place,
    )
    tokens = need.cached_tokens_that_fit
    if tokens < 512:
        raise NotEnoughMemory(
            "{what}: no context would fit: {advice}",
            what=what,
            advice=Message("choose a smaller model or quantisation, or free memory"),
        )
    slots = max(1, min(need.slots, tokens // need.context)) if need.context <= tokens else 1
    raise NotEnoughMemory(
        "{what}: --slots {slots} --context {context} would fit",
        what=what,
        slots=slots,
        context=min(need.context, tokens // slots // 256 * 256),
    )


def available_bytes(cgroup: Path = CGROUP) -> int:
    """Return the memory available without swapping, within the container's own limit."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    # Files that were read or downloaded count as used, and give way when memory is wanted.
    return max(0, min(free, limit, limit - used + _file_cache(cgroup)))


def spare_bytes() -> int:
    """Return the memory for optional caches: an eighth of what is available, at most 8 GiB."""
    return min(8 * 2**30, available_bytes() // 8)


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Return how many cores this process may use.

    Two threads on one core only wait for each other, so hyper-threads do not count.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = (allowed, psutil.cpu_count(logical=False), quota_cores(cgroup))
    return min((cores for cores in limits if cores), default=1)


def quota_cores(cgroup: Path = CGROUP) -> int | None:
    """Return how many cores the container's CPU quota is worth, rounded up; None without one."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _file_cache(cgroup: Path) -> int:
    """Return the bytes of the container's memory that are file cache."""
    try:
        lines = [line.split() for line in (cgroup / "memory.stat").read_text().splitlines()]
        sizes = {words[0]: int(words[1]) for words in lines if len(words) == 2}
    except (OSError, ValueError):
        return 0
    return sizes.get("inactive_file", 0) + sizes.get("active_file", 0)


def _gib(size: int) -> Message:
    return Message("{gib:.1f} GiB", gib=size / 2**30)


SMALLEST_CONTEXT = 512


def choose_sizes(
    options: ModelOptions,
    name: str,
    train_context: int,
    need: Callable[[int, int], MemoryNeed | None],
) -> tuple[int, int, int]:
    """Return context, slots and bytes of main memory: as asked for, or what suits and fits.

    `need` is called with context and slots; None from it means that memory is not counted. Raises
    ContextTooLong for more than the model was made for, NotEnoughMemory with settings that would
    fit.
    """
    context = options.context or min(DEFAULT_CONTEXT, train_context or DEFAULT_CONTEXT)
    if train_context and context > train_context:
        raise ContextTooLong(
            "--context {context:,} is more than the {train_context:,} tokens that {name} was "
            "made for: ask for at most {train_context:,}",
            context=context,
            train_context=train_context,
            name=name,
        )
    slots = 1 if options.exact else options.slots or DEFAULT_SLOTS

    def needed() -> MemoryNeed | None:
        found = need(context, slots)
        if found is None or found.place:
            return found
        return replace(found, available=max(0, found.available - options.reserved))

    def fits() -> bool:
        found = needed()
        return found is None or found.fits

    # What nobody asked for gives way before the user is bothered.
    while options.slots is None and slots > 1 and not fits():
        slots //= 2
    while options.context is None and context > SMALLEST_CONTEXT and not fits():
        context //= 2
    found = needed()
    if found is None:
        return context, slots, 0
    check_memory(found, name)
    return context, slots, 0 if found.place else found.total
