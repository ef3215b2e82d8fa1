"""A reply's tokens with their numbers, as the heat map is drawn from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glasschat.glass import values
from glasschat.web.glass.remote_reply import told_numbers
from glasschat.web.glass.reply import ReplyUnderGlass

_NUMBERS = ("probability", "surprise", "entropy", "change", "drawn")


def heat(reply: ReplyUnderGlass, start: int) -> dict[str, Any]:
    """The tokens from place `start` on: columns of equal lengths, None where nothing is recorded.

    `inexact` are the places whose `change` the recorded candidates do not settle, `forced` those
    of tokens that were taken by hand, `ends` those of tokens that end a reply.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("tokens", "ids", "rank", *_NUMBERS)}
    forced: list[int] = []
    inexact: list[int] = []
    ends: list[int] = []
    for stretch in reply.from_place(start):
        if stretch.told is not None:
            for name, numbers in told_numbers(stretch.told).items():
                columns[name] += numbers
            continue
        columns["ids"] += stretch.ids
        columns["tokens"] += [reply.names(token_id) for token_id in stretch.ids]
        if stretch.trace is None:
            for name in ("rank", *_NUMBERS):
                columns[name] += [None] * len(stretch.ids)
            continue
        found = values(stretch.trace)
        columns["rank"] += found.rank.tolist()
        for name in _NUMBERS:
            columns[name] += short(getattr(found, name))
        forced += places(stretch.trace.columns.forced, stretch.start)
        inexact += places(~found.exact, stretch.start)
        ending = np.isin(stretch.trace.columns.token_id, list(stretch.trace.end_ids))
        ends += places(ending, stretch.start)
    return {**columns, "forced": forced, "inexact": inexact, "ends": ends}


def short(numbers: NDArray[np.floating[Any]]) -> list[float]:
    """To four places, which is more than a colour shows or a line says."""
    return [float(f"{number:.4g}") for number in numbers.tolist()]


def places(mask: NDArray[np.bool_], start: int) -> list[int]:
    """The places that are marked, the first of them `start`."""
    return (np.flatnonzero(mask) + start).tolist()
