"""Rows of logits on their way from a GPU, through one piece of memory that stays.

Fresh memory for every step would cost its page faults each time, and a GPU copies to memory that
the system may swap out through a second buffer only, at a fraction of the speed.
"""

from glasschat.models.base import Logits
from glasschat.models.hf.library import Tensor, torch


class HostRows:
    """Fetches logits as float32 [n, width]; what it returned is good until the next call."""

    def __init__(self, width: int, *, pinned: bool = True) -> None:
        """`pinned` memory is never swapped out; it can be had where there is a GPU only."""
        self._width = width
        self._pinned = pinned
        self._rows: Tensor | None = None

    def fetch(self, logits: Tensor) -> Logits:
        """The rows of `logits`, [n, at least width] of any float, once they are there."""
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
        shape = (count, self._width)
        if self._pinned:
            try:
                return torch.empty(shape, dtype=torch.float32, pin_memory=True)
            except RuntimeError:
                # The system grants only so much of it; the rest is slower, and right.
                self._pinned = False
        return torch.empty(shape, dtype=torch.float32)
