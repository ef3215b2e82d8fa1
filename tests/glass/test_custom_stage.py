"""A custom stage, or a grammar, over a record: what it did, or that it is not known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from glasschat.errors import ReplyFailed
from glasschat.glass import Trace, setting_effects, values, waterfall, what_if
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
from tests.glass.test_rebuild import assert_candidates_are_true
from tests.sampling.rows import Row, make_row, softmax
from tests.support.examples import examples


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
    custom = CLASSES.configure({name: {} for name in names})
    grammar = Grammar(Allows(share, size)) if share < 1 else None
    try:
        return record(
            rows,
            SamplingParams(**params, own_stages=custom),
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
    chosen = choose(rebuilt.final, None if asked.greedy else trace.draws)
    sums = any(stage.name in SUMS for stage in asked.own_stages)
    for place in range(len(trace)):
        listed = {i for i in trace.columns.ids[place].tolist() if i >= 0}
        try:
            truth = recording.stage_rows(asked, place)
            token_id = recording.choice(asked, place)
        except ReplyFailed:
            continue
        assert len(truth) == len(rebuilt.candidate_sets)
        for candidates, row in zip(rebuilt.candidate_sets, truth, strict=True):
            if not candidates.unknown[place]:
                assert_candidates_are_true(candidates, place, row, listed, exactly=not sums)
        if chosen.certain[place]:
            assert chosen.token_id[place] == (token_id if token_id in listed else UNLISTED)


@given(RECORDINGS, st.booleans())
@settings(max_examples=examples(120))
def test_what_is_certain_of_the_reply_is_what_the_sampler_had(
    recording: Recording, at_hand: bool
) -> None:
    trace = replace(recording.trace, stage_classes=CLASSES if at_hand else NO_STAGES)
    assert_true(recording, trace, None)
    found = waterfall(trace, len(trace) - 1)
    assert [column.name for column in found.columns] == ["raw", *trace.columns.stages]
    stages = trace.record(len(trace) - 1).stages
    assert [(c.kept, c.mass) for c in found.columns[1:]] == [(s.kept, s.mass) for s in stages]


@given(RECORDINGS, SETTINGS, st.lists(st.sampled_from(["bans", "lifts", "tops"]), unique=True))
@settings(max_examples=examples(80))
def test_what_is_certain_with_other_settings_is_what_the_rows_give(
    recording: Recording, other: dict[str, Any], names: list[str]
) -> None:
    custom = CLASSES.configure({name: {} for name in names})
    assert_true(recording, recording.trace, SamplingParams(**other, own_stages=custom))


ROWS = [speaking_row(seed, 8000) for seed in range(40)]


def reply(*names: str, grammar: float = 1.0, **params: Any) -> Recording:
    """A reply as a language model's, with those stages."""
    custom = CLASSES.configure({name: {} for name in names})
    constraint = Grammar(Allows(grammar, 8000)) if grammar < 1 else None
    asked = SamplingParams(seed=1, own_stages=custom, **params)
    return record(ROWS, asked, classes=CLASSES, constraint=constraint)


@pytest.mark.parametrize("name", ["lifts", "scales", "tops", "warms"])
def test_behind_a_cut_that_left_listed_candidates_a_stage_runs_again(name: str) -> None:
    trace = reply(name, stages=(*DEFAULT_ORDER, name)).trace
    rebuilt = rebuild(trace)
    assert rebuilt.stages[-1].name == name
    assert all(candidates.certain.all() for candidates in rebuilt.candidate_sets)
    assert choose(rebuilt.final, trace.draws).certain.all()


@pytest.mark.parametrize("at_hand", [True, False])
@pytest.mark.parametrize("name", [one.name for one in CLASSES])
def test_where_unlisted_tokens_were_left_before_it_there_is_what_was_recorded(
    name: str, at_hand: bool
) -> None:
    """Its input is not known, so no number behind it is stated, with its class or without it."""
    trace = reply(name, stages=(name, *DEFAULT_ORDER)).trace
    if not at_hand:
        trace = replace(trace, stage_classes=NO_STAGES)
    rebuilt = rebuild(trace)
    raw, behind, *_, final = rebuilt.candidate_sets
    single = trace.columns.kept[:, 0] == 1
    assert raw.certain.all() and (behind.unknown == ~single).all()
    # Where one candidate alone was left in the end, it is known which, and its score.
    assert (final.certain == (trace.columns.kept[:, -1] == 1)).all() and final.certain.any()
    place = int(np.argmin(final.certain))
    found = waterfall(trace, place)
    column, stage = found.columns[1], trace.record(place).stages[0]
    assert (column.name, column.recorded, column.unavailable) == (name, True, not at_hand)
    assert (column.kept, column.mass, column.best) == (stage.kept, stage.mass, stage.best)
    assert column.unknown and column.rest is None and not column.certain and not found.exact
    for candidate in found.candidates:
        assert set(candidate.cells[1:]) == {"unknown"}
        assert (candidate.removed_by, candidate.reason, candidate.interval) == (None, None, None)
    assert np.isnan(values(trace).change[~final.certain]).all()
    assert not values(trace).exact[~final.certain].any()


def test_what_if_behind_it_is_not_known() -> None:
    trace = reply("lifts").trace
    found = what_if(trace, replace(trace.params, top_p=0.5))
    assert found.unknown_places and not found.exact
    assert set(found.unknown_places) <= set(found.open_places)
    assert not {d.place for d in found.divergences} & set(found.unknown_places)
    shown = waterfall(trace, found.unknown_places[0], replace(trace.params, top_p=0.5))
    last = shown.columns[-1]
    assert (last.unknown, last.recorded) == (True, False)
    assert (last.kept, last.mass, last.best, last.rest) == (None, None, None, None)
    # Of the stages before it everything is known.
    assert not shown.columns[1].unknown and shown.columns[1].certain


def test_a_class_that_has_changed_since_is_not_believed() -> None:
    @dataclass(frozen=True)
    class Other(Scales):
        def __call__(self, scores: Row, context: StageContext) -> Row:
            return super().__call__(super().__call__(scores, context), context)

    trace = replace(reply("scales").trace, stage_classes=StageClasses.of([Other]))
    final = rebuild(trace).final
    assert (final.unknown == (trace.columns.kept[:, -1] > 1)).all() and final.unknown.any()


def test_a_class_that_takes_other_settings_now_or_fails_is_as_none() -> None:
    @dataclass(frozen=True)
    class Fails(Scales):
        def __call__(self, scores: Row, context: StageContext) -> Row:
            raise ValueError("not any more")

    @dataclass(frozen=True)
    class Other:
        name: ClassVar[str] = "scales"
        kind: ClassVar[StageKind] = "warper"
        other: int = 1

        def __call__(self, scores: Row, context: StageContext) -> Row:
            return scores

    trace = reply("scales").trace
    several = trace.columns.kept[:, -1] > 1
    for maker in (Fails, Other):
        found = rebuild(replace(trace, stage_classes=StageClasses.of([maker])))
        assert found.recorded_count == 4 and (found.final.unknown == several).all()
        shown = waterfall(replace(trace, stage_classes=StageClasses.of([maker])), 0)
        assert [column.name for column in shown.columns][4] == "scales"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_grammar_has_its_column_and_what_is_behind_it_follows_from_the_record(
    share: float,
) -> None:
    trace = reply(grammar=share).trace
    rebuilt = rebuild(trace)
    assert [stage.name for stage in rebuilt.stages] == [
        "grammar", "repetition_penalty", "temperature", "top_p",
    ]  # fmt: skip
    assert rebuilt.recorded_count == 4 and not any(
        candidates.unknown.any() for candidates in rebuilt.candidate_sets
    )
    assert np.count_nonzero(choose(rebuilt.final, trace.draws).certain) >= 34
    best_gone = trace.columns.best[:, 0] != trace.columns.ids[:, 0]
    place = int(np.argmax(best_gone))
    found = waterfall(trace, place)
    assert found.columns[1].unavailable and found.columns[1].kind == "processor"
    assert (found.columns[1].kept, found.columns[1].mass) == (
        trace.record(place).stages[0].kept, trace.record(place).stages[0].mass,
    )  # fmt: skip
    gone = [c for c in found.candidates if c.removed_by == "grammar"]
    assert {str(c.reason) for c in gone} == {"the grammar does not allow it here"}


def test_a_grammar_stays_with_other_settings() -> None:
    trace = reply(grammar=0.9).trace
    rebuilt = rebuild(trace, SamplingParams(seed=1, top_p=0.5))
    assert (rebuilt.stages[0].name, rebuilt.recorded_count) == ("grammar", 3)
    assert not what_if(trace, trace.params).divergences
    assert what_if(trace, SamplingParams(seed=1, top_k=1)).divergences


def test_a_stage_can_be_put_on_or_left_out_afterwards() -> None:
    """What if: a warper at the end sees listed tokens alone, so that nothing is unknown."""
    plain, custom = reply().trace, CLASSES.configure({"tops": {}})
    found = what_if(plain, replace(plain.params, own_stages=custom))
    assert found.divergences and found.exact
    trace = reply("tops").trace
    back = what_if(trace, trace.params.without("tops"))
    assert back.divergences and all(d.certain for d in back.divergences)


def test_a_custom_stage_is_a_setting_with_an_effect() -> None:
    trace = reply("lifts", "tops").trace
    effects = {effect.setting: effect for effect in setting_effects(trace)}
    assert list(effects) == ["repetition_penalty", "lifts", "temperature", "top_p", "tops"]
    assert effects["temperature"].open > 20, "it is not known behind lifts"
    lifts = effects["lifts"]
    assert str(lifts.sentence).startswith("lifts by 1.5 changed ") and lifts.choices
    tops = {effect.setting: effect for effect in setting_effects(reply("tops").trace)}["tops"]
    assert tops.choices and not tops.open


def test_what_a_custom_stage_removed_is_said_to_be_removed_by_it() -> None:
    names = set()
    for place in range(len(ROWS)):
        found = waterfall(reply("tops").trace, place)
        names |= {str(c.reason) for c in found.candidates if c.removed_by == "tops"}
    assert names == {"the stage tops removed it"}
