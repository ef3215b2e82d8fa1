"""NumPy's warnings, which nobody needs: scores that overflow are refused by their maximum."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_quiet = ContextVar("quiet", default=False)


@contextmanager
def quiet_arithmetic() -> Iterator[None]:
    """Compute without NumPy's warnings in this thread.

    The sampler does so by itself. Who samples in a loop enters this once around it: in a loop
    with a model, entering it for every row would cost more than what it is for.
    """
    token = _quiet.set(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Whether this thread is inside `quiet_arithmetic`."""
    return _quiet.get()
