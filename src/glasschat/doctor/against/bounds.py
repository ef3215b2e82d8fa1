"""How far a quantised model may be from its original. Reasons: docs/decisions/doctor.md."""

from dataclasses import dataclass

from glasschat.doctor.finding import Mark


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for one way to store weights: up to `usual` all is well, beyond `most` it is not.

    `kl` in nats a token, `same` as the share of places with the same likeliest token.
    """

    kl_usual: float
    kl_most: float
    same_usual: float
    same_least: float

    def of_kl(self, mean: float) -> Mark:
        """The mark for a mean KL divergence."""
        if mean <= self.kl_usual:
            return Mark.PASS
        return Mark.WARN if mean <= self.kl_most else Mark.FAIL

    def of_same(self, share: float) -> Mark:
        """The mark for a share of places where both find the same token likeliest."""
        if share >= self.same_usual:
            return Mark.PASS
        return Mark.WARN if share >= self.same_least else Mark.FAIL


# By the bits of a weight in the coarser of the two; the first row whose bits are there counts.
_BY_BITS: tuple[tuple[int, Bounds], ...] = (
    (16, Bounds(0.005, 0.05, 0.93, 0.85)),
    (8, Bounds(0.01, 0.05, 0.92, 0.80)),
    (6, Bounds(0.03, 0.15, 0.88, 0.75)),
    (5, Bounds(0.06, 0.4, 0.85, 0.65)),
    (4, Bounds(0.15, 0.8, 0.80, 0.55)),
    (0, Bounds(0.15, 1.5, 0.80, 0.40)),
)
# A reply that parts where the reference preferred its token by more than this is no close call.
SURE = 0.5


def bounds_for(bits: int) -> Bounds:
    """The limits where the coarser of two models has `bits` a weight."""
    return next(bounds for least, bounds in _BY_BITS if bits >= least)
