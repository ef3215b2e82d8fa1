"""Scratch memory for one sampling step, reused so that a step allocates no rows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]

# Rows are worked on as lines of this length. OpenBLAS takes each line's dot product in one thread;
# beyond 10,000 numbers it would wake others, which cost the model's own threads their cores.
LINE = 512
# What `exp` makes nothing of, and 0 times it is 0: a line's unused end.
_NOTHING = -1e4
# NumPy asks for huge pages from here on. Between two steps the model's weights have pushed the
# page tables out of every cache, and one huge page is found again sooner than a hundred small ones.
_HUGE = 4 * 2**20


class Workspace:
    """Scratch arrays for rows of `size` logits: three of float32 [lines, LINE] with padded ends.

    `shifted`, `shares` and `roots` are those three; `flat_shifted` and `flat_shares` are float32
    [size] views of them without the padding. `ones` is float32 [LINE], `marks` bool [size].
    """

    __slots__ = (
        "flat_shares",
        "flat_shifted",
        "marks",
        "ones",
        "owner",
        "roots",
        "shares",
        "shifted",
        "size",
    )

    def __init__(self, size: int) -> None:
        lines = -(-size // LINE)
        need = lines * LINE
        block = np.zeros(max(_HUGE, 13 * need + 4 * LINE), np.uint8)
        floats = block[: 12 * need + 4 * LINE].view(np.float32)
        self.shifted = floats[:need].reshape(lines, LINE)
        self.shares = floats[need : 2 * need].reshape(lines, LINE)
        self.roots = floats[2 * need : 3 * need].reshape(lines, LINE)
        self.ones = floats[3 * need :]
        self.marks = block[12 * need + 4 * LINE :][:size].view(np.bool_)
        self.shifted[:] = _NOTHING
        self.ones[:] = 1.0
        self.flat_shifted = floats[:size]
        self.flat_shares = floats[need : need + size]
        self.owner: object = None
        self.size = size


_local = threading.local()


def workspace_for(size: int) -> Workspace:
    """Return this thread's workspace for rows of `size` logits.

    Its content is valid until the next row.
    """
    space: Workspace | None = getattr(_local, "space", None)
    if space is None or space.size != size:
        space = _local.space = Workspace(size)
    return space


_quiet = ContextVar("quiet", default=False)


@contextmanager
def quiet_arithmetic() -> Iterator[None]:
    """Compute without NumPy's floating-point warnings in this thread.

    The warnings are of no use here: scores that overflow are refused by their maximum. The sampler
    enters this context by itself. Code that samples in a loop enters it once around the loop: in a
    loop with a model, entering it for every row would cost more than it saves.
    """
    token = _quiet.set(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Return whether this thread is inside the context of `quiet_arithmetic`."""
    return _quiet.get()
