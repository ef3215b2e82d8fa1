"""Rows of logits for tests: tiny and long, tied, peaked, cut already, or with one survivor."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Row = NDArray[np.float32]

# Around every place where the code changes its way: 64 candidates, folded lines, few survivors.
SIZES = (1, 2, 3, 7, 30, 63, 64, 65, 130, 520, 1100, 2500, 9000)


def make_row(seed: int, size: int, kind: str, scale: float, removed: float) -> Row:
    """A row of `size`; `removed` is the share of -inf, and at least one score stays finite."""
    random = np.random.default_rng(seed)
    row = random.normal(size=size) * scale
    if kind == "tied":
        row = np.round(random.normal(size=size) * 1.5)
    elif kind == "peaked":
        row[random.integers(0, size, 1 + size // 50)] += 6 * scale
    elif kind == "equal":
        row[:] = scale
    survivor = random.integers(size)
    dead = random.random(size) < removed
    dead[survivor] = False
    row[dead] = -np.inf
    return row.astype(np.float32)


def rows(max_size: int = SIZES[-1]) -> st.SearchStrategy[Row]:
    """Rows of every kind, most of them whole."""
    return st.builds(
        make_row,
        seed=st.integers(0, 2**32 - 1),
        size=st.sampled_from([s for s in SIZES if s <= max_size]),
        kind=st.sampled_from(["normal", "tied", "peaked", "equal"]),
        scale=st.sampled_from([0.01, 1.0, 3.0, 20.0]),
        removed=st.sampled_from([0.0, 0.0, 0.0, 0.3, 0.95, 1.0]),
    )


def softmax(row: Row) -> NDArray[np.float64]:
    """The reference: float64, the plain way."""
    wide = row.astype(np.float64)
    weights: NDArray[np.float64] = np.exp(wide - wide.max())
    weights /= weights.sum()
    return weights


def alive(row: Row) -> NDArray[np.intp]:
    """The ids that are left."""
    return np.flatnonzero(row > -np.inf)
