"""Protocols of sampling stages: pure steps from scores to scores.

The settings name the stages and order them.
"""

from dataclasses import Field, dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from glasschat.sampling.distribution import Distribution
from glasschat.sampling.draw import seeded_draws
from glasschat.sampling.history import Ids, TokenHistory
from glasschat.sampling.shortlist import Shortlist
from glasschat.sampling.workspace import Row

StageKind = Literal["processor", "warper"]


@dataclass(frozen=True, slots=True)
class StageContext:
    """The state of a sequence at one step that a stage may use besides the scores.

    `history` holds prompt and reply up to the token that is being chosen; `end_ids` are the tokens
    that end a reply; `seed` is that of the reply.
    """

    history: TokenHistory
    end_ids: frozenset[int] = frozenset()
    seed: int = 0
    _latest: list[Distribution] = field(default_factory=list, repr=False, compare=False)
    _touched: dict[int, Ids] = field(default_factory=dict, repr=False, compare=False)

    @property
    def second_draw(self) -> float:
        """Return the second random number in [0, 1) of this step; the first one draws the token.

        It depends only on the seed and on the length of the reply.
        """
        return float(seeded_draws(self.seed, self.history.output_length, 1, stream=1)[0])

    def distribution(self, scores: Row) -> Distribution:
        """Return the distribution of `scores`, float32 [vocab].

        The last one is kept, so that several readers of the same array share it.
        """
        if not self._latest or self._latest[0].scores is not scores:
            self._latest[:] = [Distribution(scores)]
        return self._latest[0]

    def touched_by(self, stage: "Touching") -> Ids:
        """Return the token ids that `stage` changes, computed once per step.

        They are cached because to look for n-grams in a long text takes time.
        """
        ids = self._touched.get(id(stage))
        if ids is None:
            ids = self._touched[id(stage)] = stage.touched(self)
        return ids


@runtime_checkable
class Stage(Protocol):
    """One step between the model's logits and the draw.

    Calling it takes float32 [vocab] and returns float32 [vocab] in which removed tokens are -inf.
    It is pure: the same scores and the same ids in the history give the same result, and the input,
    which is read-only, stays as it is. It may return the input itself when it changes nothing.
    Greedy replies run processors only.
    """

    @property
    def name(self) -> str:
        """Return the name of the stage in records and errors."""

    @property
    def kind(self) -> StageKind:
        """Return the kind of the stage, "processor" or "warper".

        A processor changes what the model says; a warper reshapes or cuts what may be drawn.
        """

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores after this stage, float32 [vocab]."""


@runtime_checkable
class ExplainedStage(Stage, Protocol):
    """A built-in stage, a dataclass, with a message that explains why it removes a token."""

    removal: ClassVar[str]
    """A message; it may name the stage's fields, the token's `rank`, and its `share` of the
    probability before the stage.
    """
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@runtime_checkable
class MeasuringStage(Stage, Protocol):
    """A stage that depends on one number of the whole row, which is recorded with its result.

    With that number the stage can be run again over the recorded candidates alone.
    """

    def measure(self, scores: Row, context: StageContext) -> float:
        """Return the number that the stage takes from `scores`, float32 [vocab]; it is finite."""


@runtime_checkable
class RandomStage(Stage, Protocol):
    """A stage that uses the second random number of each step.

    So its effect depends on the seed.
    """

    uses_second_draw: ClassVar[bool]


class Touching(Protocol):
    """A stage that changes the scores of certain token ids."""

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids whose scores are changed, int64 [n]."""


@runtime_checkable
class ShortStage(Stage, Protocol):
    """A stage that can also run on a shortlist, with the same result as on the whole row.

    Some built-in stages cannot, such as typical-p, and a custom stage need not: with one of them a
    reply runs over the whole row at every step.
    """

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids whose scores the stage changes by their id, int64 [n].

        Ids beyond the row are skipped. Empty for a warper.
        """

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """Return the shortlist after this stage; None when it does not hold enough to decide."""
