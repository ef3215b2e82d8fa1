"""Who was left where a stage's work cannot be done over: what the sampler wrote down decides.

It wrote down how many candidates a stage left, what they weigh together, and which is the best.
Who would make them weigh too much is gone; who is needed to make up the weight is left.
"""

from dataclasses import replace

import numpy as np

from glasschat.glass.candidates import Layer, Mask
from glasschat.glass.cuts import Told
from glasschat.glass.tail_bounds import Wide

# Many times what sums of float32 over a whole vocabulary differ by.
_DOUBT = 1e-5
_ROUNDS = 4


def settled(layer: Layer, told: Told, before: Layer | None) -> Layer:
    """The layer behind a recorded stage, with all that is certain of who was left.

    `before` is the layer before it where the stage was a cut, which takes the worst ones of those
    that were left. A row that cannot be true is a guess from here on.
    """
    layer = _single(layer, told)
    rows = layer.maybe.any(axis=1) & ~layer.guessed
    if not rows.any():
        return layer
    inside, gone, fits = _Search(layer, told, before).found()
    alive = layer.scores > -np.inf
    lost = (rows & ~fits)[:, None]
    gone &= rows[:, None] & ~lost
    maybe = np.where(rows[:, None], (alive & ~inside & ~gone) | (alive & lost), layer.maybe)
    free = np.where(rows & fits, told.kept - np.count_nonzero(inside, axis=1), told.kept)
    others = layer.others.refined(np.maximum(free, 0).astype(np.float64))
    after = layer.with_scores(np.where(gone, np.float32(-np.inf), layer.scores), maybe, others)
    return replace(after, told=layer.told, guessed=layer.guessed | (rows & ~fits))


def _single(layer: Layer, told: Told) -> Layer:
    """Where one alone was left, it is the best one, and what all weigh is its score."""
    rows = layer.guessed & (told.kept == 1)
    if not rows.any():
        return layer
    is_best = (layer.ids == told.best[:, None]) & (layer.ids >= 0)
    listed = is_best.any(axis=1)
    score = told.after.astype(np.float32)
    alone = np.where(is_best, score[:, None], np.float32(-np.inf))
    others = layer.others.clouded(rows, np.where(listed, 0.0, 1.0), score)
    others = others.refined(np.where(rows & listed, 0.0, others.count))
    after = layer.with_scores(
        np.where(rows[:, None], alone, layer.scores), layer.maybe & ~rows[:, None], others
    )
    return replace(after, told=layer.told, guessed=layer.guessed & ~rows)


class _Search:
    """Those of the listed who certainly are left, `inside`, and who certainly are `gone`."""

    def __init__(self, layer: Layer, told: Told, before: Layer | None) -> None:
        self._layer = layer
        self._kept = told.kept[:, None]
        self._alive: Mask = layer.scores > -np.inf
        self._certain = None
        if before is not None:
            self._certain = (before.scores > -np.inf) & ~before.maybe & before.above
        named = (layer.ids[:, :, None] == told.left[:, None, :]).any(axis=2) & (layer.ids >= 0)
        self.inside: Mask = self._alive & (~layer.maybe | named)
        is_best = (layer.ids == told.best[:, None]) & self._alive
        # Nobody scores higher than the best; one that is not listed scores less than these.
        worse_than_best = np.cumsum(is_best, axis=1) > 0
        behind = np.where(is_best.any(axis=1)[:, None], worse_than_best, ~layer.above)
        self.gone: Mask = self._alive & ~behind
        total = np.exp(np.minimum(told.after - layer.top, 700.0))
        self._total, self._slack = total[:, None], (total * _DOUBT)[:, None]
        self._most_others = layer.others.weight(layer.top)[1][:, None]

    def found(self) -> tuple[Mask, Mask, Mask]:
        """`inside`, `gone`, and in which rows all of it can be true ([n])."""
        for _ in range(_ROUNDS):
            self._by_weight()
            self._by_number()
            if self._certain is not None:
                self._by_order(self._certain)
        over = self._weight(self.inside) > self._total + self._slack
        fits = ~over[:, 0] & ~(self.inside & self.gone).any(axis=1)
        return self.inside, self.gone, fits

    @property
    def _maybe(self) -> Mask:
        return self._alive & ~self.inside & ~self.gone

    def _weight(self, some: Mask) -> Wide:
        found: Wide = np.where(some, self._layer.weights, 0.0).sum(axis=1, keepdims=True)
        return found

    def _by_weight(self) -> None:
        missing = self._total - self._weight(self.inside)
        self.gone |= self._maybe & (self._layer.weights > missing + self._slack)
        possible = self._weight(self._maybe) + np.minimum(self._most_others, missing + self._slack)
        needed = possible - self._layer.weights < missing - self._slack
        self.inside |= self._maybe & needed

    def _by_number(self) -> None:
        free = self._kept - np.count_nonzero(self.inside, axis=1, keepdims=True)
        self.gone |= self._maybe & (free <= 0)
        number = np.count_nonzero(self._maybe, axis=1, keepdims=True)
        self.inside |= self._maybe & (free >= number + self._layer.others.count[:, None])

    def _by_order(self, certain: Mask) -> None:
        """A cut takes nobody who scores higher than somebody whom it leaves.

        Of equals it may leave some.
        """
        scores = self._layer.scores
        worst = np.where(self.inside, scores, np.inf).min(axis=1, keepdims=True)
        self.inside |= certain & self._alive & (scores > worst)
        taken = np.where(certain & self.gone, scores, -np.inf).max(axis=1, keepdims=True)
        self.gone |= self._alive & (scores < taken)
        # Where the first so many are certain, they are those that are left.
        possible = self._alive & ~self.gone
        first = possible & (np.cumsum(possible, axis=1) <= self._kept)
        enough = np.count_nonzero(first, axis=1, keepdims=True) == self._kept
        last = np.where(first, scores, np.inf).min(axis=1, keepdims=True)
        tied = (possible & ~first & (scores == last)).any(axis=1, keepdims=True)
        sure = (certain | ~first).all(axis=1, keepdims=True)
        self.inside |= first & enough & sure & ~tied
