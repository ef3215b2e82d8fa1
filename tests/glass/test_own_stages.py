"""A stage of one's own, or a grammar, over a record: what it did, or that nobody can say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from glasschat.errors import ReplyFailed
from glasschat.glass import Trace, ablate, values, waterfall, what_if
from glasschat.glass.choosing import UNLISTED, choose
from glasschat.glass.rebuild import rebuild
from glasschat.sampling import (
    DEFAULT_ORDER,
    NO_STAGES,
    Grammar,
    SamplingParams,
    StageClasses,
    StageContext,
    StageKind,
)
from tests.glass.recordings import ORDERS, Recording, record, speaking_row
from tests.glass.test_rebuild import assert_layer_is_true
from tests.sampling.rows import Row, make_row, softmax


@dataclass(frozen=True)
class Bans:
    """Removes every third token."""

    name: ClassVar[str] = "bans"
    kind: ClassVar[StageKind] = "processor"

    def __call__(self, scores: Row, context: StageContext) -> Row:
        after = scores.copy()
        after[context.history.output_length % 3 :: 3] = -np.inf
        return after


@dataclass(frozen=True)
class Lifts:
    """Lifts every second token, and what stood in the reply."""

    name: ClassVar[str] = "lifts"
    kind: ClassVar[StageKind] = "processor"
    by: float = 1.5

    def __call__(self, scores: Row, context: StageContext) -> Row:
        after = scores.copy()
        after[::2] += np.float32(self.by)
        seen = context.history.output_seen
        after[seen[seen < len(after)]] -= np.float32(0.5)
        return after


@dataclass(frozen=True)
class Scales:
    """Another temperature."""

    name: ClassVar[str] = "scales"
    kind: ClassVar[StageKind] = "warper"
    by: float = 1.25

    def __call__(self, scores: Row, context: StageContext) -> Row:
        return scores * np.float32(self.by)


@dataclass(frozen=True)
class Tops:
    """Removes all but the last of those above a probability."""

    name: ClassVar[str] = "tops"
    kind: ClassVar[StageKind] = "warper"
    above: float = 0.15

    def __call__(self, scores: Row, context: StageContext) -> Row:
        high = np.flatnonzero(softmax(scores) > self.above)
        after = scores.copy()
        after[high[np.argsort(-scores[high], kind="stable")][:-1]] = -np.inf
        return after


@dataclass(frozen=True)
class Warms:
    """A temperature by the entropy."""

    name: ClassVar[str] = "warms"
    kind: ClassVar[StageKind] = "warper"

    def __call__(self, scores: Row, context: StageContext) -> Row:
        shares = softmax(scores)
        entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)))
        return scores / np.float32(0.6 + 0.2 * entropy)


CLASSES = StageClasses.of([Bans, Lifts, Scales, Tops, Warms])
# Of these the scores of the listed depend on sums over all, which are not known to the last bit.
SUMS = {"tops", "warms"}


class Allows:
    """A grammar that allows some tokens at each place."""

    def __init__(self, share: float, size: int) -> None:
        self._share, self._size = share, size

    def allowed(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = np.random.default_rng(len(ids)).random(self._size) < self._share
        found[len(ids) % self._size] = True
        return found


def built(
    params: dict[str, Any],
    names: Sequence[str],
    size: int,
    seeds: Sequence[int],
    kind: str,
    scale: float,
    share: float,
) -> Recording:
    """A reply with those stages, and below a share of 1 with a grammar."""
    rows = [make_row(seed, size, kind, scale, 0.0) for seed in seeds]
    own = CLASSES.configure({name: {} for name in names})
    grammar = Grammar(Allows(share, size)) if share < 1 else None
    try:
        return record(
            rows,
            SamplingParams(**params, own_stages=own),
            earlier=[3, 7, 3][: seeds[0] % 4],
            classes=CLASSES,
            constraint=grammar,
        )
    except ReplyFailed:  # the stages left nothing
        reject()


SETTINGS = st.fixed_dictionaries(
    {"seed": st.integers(0, 2**64 - 1)},
    optional={
        "temperature": st.sampled_from([0.0, 0.7, 1.0, 1.5]),
        "top_k": st.sampled_from([0, 1, 5, 64, 100]),
        "top_p": st.sampled_from([0.3, 0.8, 0.95, 1.0]),
        "min_p": st.sampled_from([0.0, 0.05, 0.5]),
        "typical_p": st.sampled_from([1.0, 0.9]),
        "repetition_penalty": st.sampled_from([1.0, 1.3, 0.7]),
        "logit_bias": st.sampled_from([{}, {3: 2.0, 9: -5.0}]),
        "stages": ORDERS,
    },
)
RECORDINGS = st.builds(
    built,
    SETTINGS,
    st.lists(st.sampled_from([one.name for one in CLASSES]), max_size=2, unique=True),
    st.sampled_from([20, 64, 66, 300, 2500]),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4),
    st.sampled_from(["normal", "tied", "peaked", "equal"]),
    st.sampled_from([0.01, 1.0, 3.0, 20.0]),
    st.sampled_from([1.0, 1.0, 0.02, 0.5, 0.97]),
)


def assert_true(recording: Recording, trace: Trace, params: SamplingParams | None) -> None:
    """All that the rebuilt reply calls certain is so."""
    rebuilt = rebuild(trace, params)
    asked = params or trace.params
    chosen = choose(rebuilt.last, None if asked.greedy else trace.draws)
    sums = any(stage.name in SUMS for stage in asked.own_stages)
    for place in range(len(trace)):
        listed = {i for i in trace.columns.ids[place].tolist() if i >= 0}
        try:
            truth = recording.layers(asked, place)
            token_id = recording.choice(asked, place)
        except ReplyFailed:
            continue
        assert len(truth) == len(rebuilt.layers)
        for layer, row in zip(rebuilt.layers, truth, strict=True):
            if not layer.guessed[place]:
                assert_layer_is_true(layer, place, row, listed, exactly=not sums)
        if chosen.sure[place]:
            assert chosen.token_id[place] == (token_id if token_id in listed else UNLISTED)


@given(RECORDINGS, st.booleans())
@settings(max_examples=120)
def test_what_is_certain_of_the_reply_is_what_the_sampler_had(
    recording: Recording, at_hand: bool
) -> None:
    trace = replace(recording.trace, stage_classes=CLASSES if at_hand else NO_STAGES)
    assert_true(recording, trace, None)
    found = waterfall(trace, len(trace) - 1)
    assert [column.name for column in found.columns] == ["raw", *trace.columns.stages]
    told = trace.record(len(trace) - 1).stages
    assert [(c.kept, c.mass) for c in found.columns[1:]] == [(s.kept, s.mass) for s in told]


@given(RECORDINGS, SETTINGS, st.lists(st.sampled_from(["bans", "lifts", "tops"]), unique=True))
@settings(max_examples=80)
def test_what_is_certain_with_other_settings_is_what_the_rows_give(
    recording: Recording, other: dict[str, Any], names: list[str]
) -> None:
    own = CLASSES.configure({name: {} for name in names})
    assert_true(recording, recording.trace, SamplingParams(**other, own_stages=own))


ROWS = [speaking_row(seed, 8000) for seed in range(40)]


def spoken(*names: str, grammar: float = 1.0, **params: Any) -> Recording:
    """A reply as a language model's, with those stages."""
    own = CLASSES.configure({name: {} for name in names})
    constraint = Grammar(Allows(grammar, 8000)) if grammar < 1 else None
    asked = SamplingParams(seed=1, own_stages=own, **params)
    return record(ROWS, asked, classes=CLASSES, constraint=constraint)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", [one.name for one in CLASSES])
def test_with_its_class_at_hand_a_stage_is_as_clear_as_any(name: str, first: bool) -> None:
    order = (name, *DEFAULT_ORDER) if first else DEFAULT_ORDER
    trace = spoken(name, stages=order).trace
    rebuilt = rebuild(trace)
    if (name, first) == ("warms", True):
        # An entropy needs every token: where the others weigh something nobody can run it again.
        assert 0 < np.count_nonzero(rebuilt.last.sure) < len(trace)
    else:
        assert all(layer.sure.all() for layer in rebuilt.layers)
        assert choose(rebuilt.last, trace.draws).sure.all()


def test_without_its_class_there_is_its_column_and_what_is_behind_is_no_more_than_likely() -> None:
    recording = spoken("lifts")
    trace = replace(recording.trace, stage_classes=NO_STAGES)
    rebuilt = rebuild(trace)
    raw, penalized, lifted, tempered, last = rebuilt.layers
    assert raw.sure.all() and penalized.sure.all()
    assert not lifted.sure.any() and not tempered.sure.any()
    # Where one alone was left in the end, it is known which, and its score.
    assert (last.sure == (trace.columns.kept[:, -1] == 1)).all() and last.sure.any()
    place = int(np.argmin(last.sure))
    found = waterfall(trace, place)
    column = found.columns[2]
    told = trace.record(place).stages[1]
    assert (column.name, column.kind, column.unseen) == ("lifts", "processor", True)
    assert (column.kept, column.mass, column.sure) == (told.kept, told.mass, False)
    cells = [cell for c in found.candidates for cell in c.cells[2:] if cell is not None]
    assert cells and not any(cell.sure for cell in cells)
    assert not found.exact
    assert not values(trace).exact[~last.sure].any()


def test_a_class_that_has_changed_since_is_not_believed() -> None:
    @dataclass(frozen=True)
    class Other(Lifts):
        def __call__(self, scores: Row, context: StageContext) -> Row:
            return super().__call__(super().__call__(scores, context), context)

    trace = replace(spoken("lifts").trace, stage_classes=StageClasses.of([Other]))
    lifted = rebuild(trace).layers[2]
    assert np.count_nonzero(lifted.guessed) >= 38


def test_a_class_that_takes_other_settings_now_or_fails_is_as_none() -> None:
    @dataclass(frozen=True)
    class Fails(Lifts):
        def __call__(self, scores: Row, context: StageContext) -> Row:
            raise ValueError("not any more")

    @dataclass(frozen=True)
    class Other:
        name: ClassVar[str] = "lifts"
        kind: ClassVar[StageKind] = "processor"
        other: int = 1

        def __call__(self, scores: Row, context: StageContext) -> Row:
            return scores

    recording = spoken("lifts")
    for maker in (Fails, Other):
        trace = replace(recording.trace, stage_classes=StageClasses.of([maker]))
        found = rebuild(trace)
        assert found.known == 4 and found.layers[2].guessed.all()
        assert [column.name for column in waterfall(trace, 0).columns][2] == "lifts"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_grammar_has_its_column_and_what_is_behind_it_is_told_from_the_record(
    share: float,
) -> None:
    trace = spoken(grammar=share).trace
    rebuilt = rebuild(trace)
    assert [stage.name for stage in rebuilt.stages] == [
        "grammar", "repetition_penalty", "temperature", "top_p",
    ]  # fmt: skip
    assert rebuilt.known == 4 and not any(layer.guessed.any() for layer in rebuilt.layers)
    assert np.count_nonzero(choose(rebuilt.last, trace.draws).sure) >= 34
    best_gone = trace.columns.best[:, 0] != trace.columns.ids[:, 0]
    place = int(np.argmax(best_gone))
    found = waterfall(trace, place)
    assert found.columns[1].unseen and found.columns[1].kind == "processor"
    assert (found.columns[1].kept, found.columns[1].mass) == (
        trace.record(place).stages[0].kept, trace.record(place).stages[0].mass,
    )  # fmt: skip
    gone = [c for c in found.candidates if c.removed_by == "grammar"]
    assert {str(c.rule) for c in gone} == {"the grammar does not allow it here"}


def test_a_grammar_stays_with_other_settings() -> None:
    trace = spoken(grammar=0.9).trace
    rebuilt = rebuild(trace, SamplingParams(seed=1, top_p=0.5))
    assert (rebuilt.stages[0].name, rebuilt.known) == ("grammar", 3)
    assert not what_if(trace, trace.params).divergences
    assert what_if(trace, SamplingParams(seed=1, top_k=1)).divergences


def test_a_stage_can_be_put_on_or_left_out_afterwards() -> None:
    """What if: a warper at the end sees listed tokens alone, so that nothing is left to guess."""
    plain, own = spoken().trace, CLASSES.configure({"tops": {}})
    found = what_if(plain, replace(plain.params, own_stages=own))
    assert found.divergences and found.exact
    there = spoken("tops").trace
    back = what_if(there, there.params.without("tops"))
    assert back.divergences and all(d.sure for d in back.divergences)


def test_the_audit_asks_for_a_stage_of_ones_own_too() -> None:
    trace = spoken("lifts", "tops").trace
    knobs = {knob.setting: knob for knob in ablate(trace)}
    assert list(knobs) == ["repetition_penalty", "lifts", "temperature", "top_p", "tops"]
    lifts, tops = knobs["lifts"], knobs["tops"]
    assert str(lifts.sentence).startswith(f"lifts by 1.5 changed {lifts.choices} of 40 choices")
    assert tops.choices and not tops.open
    absent = replace(trace, stage_classes=NO_STAGES)
    assert {k.setting: k.open for k in ablate(absent)}["temperature"] > 20


def test_who_was_removed_by_ones_own_stage_is_told_so() -> None:
    found = waterfall(spoken("tops").trace, 0)
    gone = {str(c.rule) for c in found.candidates if c.removed_by == "tops"}
    assert gone <= {"the stage tops removed it"}
    bans = waterfall(spoken("bans").trace, 0)
    assert {str(c.rule) for c in bans.candidates if c.removed_by == "bans"} == {
        "the stage bans removed it"
    }
