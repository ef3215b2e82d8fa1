"""Two layers of the same tokens side by side: what changed between them."""

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import Layer, Mask
from glasschat.glass.tail_bounds import Wide


def by_id(layer: Layer) -> NDArray[np.intp]:
    """Where the candidates stand when they are put in the order of their ids, [n, 64]."""
    return np.argsort(layer.ids, axis=1, kind="stable")


def shares(layer: Layer) -> Wide:
    """The probabilities in the order of the ids, [n, 64]; the middle of what is known."""
    found = layer.weights / np.maximum(layer.middle, 1e-300)[:, None]
    return np.take_along_axis(found, by_id(layer), axis=1)


def left(layer: Layer) -> Mask:
    """Which candidates are left, in the order of their ids, [n, 64]."""
    return np.take_along_axis(layer.scores > -np.inf, by_id(layer), axis=1)


def parted(one: Layer, two: Layer) -> Mask:
    """Where a listed candidate is certainly left in one and certainly gone in the other, [n]."""
    kept, gone = surely_left(one), ~left(one)
    found: Mask = np.any((kept & ~left(two)) | (gone & surely_left(two)), axis=1)
    return found & ~(one.guessed | two.guessed)


def surely_left(layer: Layer) -> Mask:
    """Which candidates certainly are left, in the order of their ids, [n, 64]."""
    kept = (layer.scores > -np.inf) & ~layer.maybe
    return np.take_along_axis(kept, by_id(layer), axis=1)


def distance(one: Layer, two: Layer) -> tuple[Wide, Wide]:
    """Between what and what the total variation of two distributions lies, [n] in [0, 1].

    Half the sum of all differences of probabilities: the share of draws that fall elsewhere, if
    the candidates are laid out to differ as little as may be. The tokens that are not listed count
    as one at least, and as wholly other tokens at most. It means nothing where it is not certain
    who is left in both.
    """
    before, after = shares(one), shares(two)
    rest_before = np.clip(1.0 - before.sum(axis=1), 0.0, 1.0)
    rest_after = np.clip(1.0 - after.sum(axis=1), 0.0, 1.0)
    more = np.maximum(after - before, 0.0).sum(axis=1)
    less = np.maximum(before - after, 0.0).sum(axis=1)
    least = np.maximum(
        more + np.maximum(rest_after - rest_before, 0.0),
        less + np.maximum(rest_before - rest_after, 0.0),
    )
    most = np.minimum(np.minimum(more + rest_after, less + rest_before), 1.0)
    return np.minimum(least, most), most
