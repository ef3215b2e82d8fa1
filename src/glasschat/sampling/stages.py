"""What a stage is: a pure step from scores to scores, named and ordered by the settings."""

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
    """What a stage may know of its sequence besides the scores, at one step.

    `history` holds prompt and reply up to the token that is being chosen; `end_ids` are the
    tokens that end a reply; `seed` is the reply's own.
    """

    history: TokenHistory
    end_ids: frozenset[int] = frozenset()
    seed: int = 0
    _latest: list[Distribution] = field(default_factory=list, repr=False, compare=False)
    _touched: dict[int, Ids] = field(default_factory=dict, repr=False, compare=False)

    @property
    def second_draw(self) -> float:
        """The second number in [0, 1) of this place, beside the one that the token is drawn with.

        It depends on the seed and on how long the reply is, and on nothing else.
        """
        return float(seeded_draws(self.seed, self.history.output_length, 1, stream=1)[0])

    def distribution(self, scores: Row) -> Distribution:
        """The softmax of `scores`, shared with whoever asked for that of the same array last."""
        if not self._latest or self._latest[0].scores is not scores:
            self._latest[:] = [Distribution(scores)]
        return self._latest[0]

    def touched_by(self, stage: "Touching") -> Ids:
        """What `stage` touches. It is asked once: to look for runs in a long text takes time."""
        ids = self._touched.get(id(stage))
        if ids is None:
            ids = self._touched[id(stage)] = stage.touched(self)
        return ids


@runtime_checkable
class Stage(Protocol):
    """One step between the model's logits and the draw.

    Calling it takes float32 [vocab] and returns float32 [vocab] in which removed tokens are
    -inf. It is pure: the same scores and the same ids in the history give the same result, and
    the input, which is read-only, stays as it is. It may return the input itself when it changes
    nothing. Greedy replies run processors only.
    """

    @property
    def name(self) -> str:
        """What records and errors call the stage."""

    @property
    def kind(self) -> StageKind:
        """A processor changes what the model says; a warper reshapes or cuts what may be drawn."""

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the scores after this stage."""


@runtime_checkable
class ExplainedStage(Stage, Protocol):
    """A stage of glasschat's own, a dataclass, that says why it removes a token."""

    removal: ClassVar[str]
    """A message; it may name the stage's fields, the token's `rank`, and its `share` of the
    probability before the stage.
    """
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@runtime_checkable
class MeasuringStage(Stage, Protocol):
    """A stage that depends on one number of the whole row, which is recorded with what it left.

    With it the stage can be run again over the recorded candidates alone.
    """

    def measure(self, scores: Row, context: StageContext) -> float:
        """Return the number that the stage takes from `scores`, float32 [vocab]; it is finite."""


@runtime_checkable
class RandomStage(Stage, Protocol):
    """A stage that uses the second number of each place, so that its effect depends on the seed."""

    uses_second_draw: ClassVar[bool]


class Touching(Protocol):
    """What changes scores by their number."""

    def touched(self, context: StageContext) -> Ids:
        """The ids, each once, whose scores are changed."""


@runtime_checkable
class ShortStage(Stage, Protocol):
    """A stage that can also work on a short list, and then does what it does to the whole row.

    All stages of this room but typical-p can. One of your own need not: without this, replies
    that use it go through the whole row at every step.
    """

    def touched(self, context: StageContext) -> Ids:
        """The ids, each once, whose scores the stage changes by their number; any beyond the row
        are passed over. Empty for a warper.
        """

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """The list after this stage; None when it does not hold enough to decide."""
