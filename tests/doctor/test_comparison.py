"""Two models held against each other: what differs is found, and by how much."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.doctor import Finding, Mark, Report, examine
from glasschat.doctor.checks import template
from glasschat.doctor.comparison import measurement, same_model
from glasschat.doctor.comparison.distance import bounds_for, evaluate
from glasschat.doctor.comparison.measurement import (
    Distance,
    DivergentReply,
    build_passages,
    compare,
)
from glasschat.doctor.comparison.pair import ModelPair
from glasschat.doctor.comparison.scoring import (
    NonFiniteLogits,
    Passage,
    count_steps,
    log_softmax,
    record,
)
from glasschat.doctor.gguf_metadata import gguf_metadata
from glasschat.doctor.metadata import Claim
from glasschat.doctor.opened_model import OpenedModel
from glasschat.models.base import Logits
from glasschat.models.llama_cpp.tokenizer import open_vocabulary
from glasschat.models.scripted import ScriptedRunner
from tests.doctor.damage import altered, found, marks, number, renamed, replaced, untried
from tests.support.models import real_model

PASSAGES = [
    Passage("follow", (1, 2, 3), (4, 5, 6, 7), 4),
    Passage("short", (9,), (8,), 1),
    Passage("reply", (1, 1), None, 3),
]
WIDTH = 200


@pytest.fixture(scope="module", autouse=True)
def shorter() -> Iterator[None]:
    """A quarter of the places: what is held here needs no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurement, "PASSAGES", measurement.PASSAGES[:3])
        patch.setattr(measurement, "QUESTIONS", measurement.QUESTIONS[:1])
        patch.setattr(measurement, "FOLLOWED", 20)
        patch.setattr(measurement, "REPLY", 8)
        patch.setattr("glasschat.doctor.model_files.open_in_subprocess", untried)
        # One thread waits for no other, whatever else the machine does.
        patch.setattr("glasschat.models.llama_cpp.load.usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def with_itself(builtin_model_path: Path) -> Report:
    return examine(builtin_model_path, builtin_model_path)


@pytest.mark.slow
def test_a_model_is_no_distance_from_itself(with_itself: Report) -> None:
    assert set(marks(with_itself.comparison).values()) == {Mark.PASS}
    assert not with_itself.not_checked
    divergence = found(with_itself.comparison, "divergence").details
    # The same computation in batches of the same sizes: nothing but the same numbers.
    assert divergence["largest"] < 1e-6 and divergence["places"] == 3 * 20 + 8
    assert found(with_itself.comparison, "top-1").details["share"] == 1.0
    assert found(with_itself.comparison, "replies").details["first_divergence"] is None


@pytest.mark.slow
def test_a_conversion_with_other_positions(
    builtin_model_path: Path, tmp_path: Path, with_itself: Report
) -> None:
    """A rotary base that was lost on the way answers, and answers worse: both halves see it."""
    base = number("llama.rope.freq_base", 10_000.0, "f")
    file = altered(builtin_model_path, tmp_path / "x.gguf", base)
    report = examine(file, builtin_model_path)
    shape = found(report.comparison, "same-shape")
    assert shape.mark is Mark.FAIL and "rope_theta 10,000 and 100,000" in shape.found
    assert found(report.comparison, "divergence").details["mean"] > 0.01
    assert found(report.comparison, "top-1").details["share"] < 1.0
    assert report.failed and not with_itself.failed


def test_a_model_of_another_vocabulary_is_not_run(builtin_model_path: Path, tmp_path: Path) -> None:
    the, xqz = (b"\x05" + bytes(7) + b"\xc4\xa0" + word for word in (b"the", b"xqz"))
    file = altered(builtin_model_path, tmp_path / "x.gguf", replaced(the, xqz))
    report = examine(file, builtin_model_path)
    vocabulary = found(report.comparison, "same-vocabulary")
    assert vocabulary.mark is Mark.FAIL and '" xqz" and " the"' in vocabulary.found
    assert "divergence" in report.not_checked


def test_a_reference_that_cannot_be_read(builtin_model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    report = examine(builtin_model_path, tmp_path / "x.gguf")
    assert marks(report.comparison) == {"against": Mark.FAIL}
    assert {Mark.PASS} == set(marks(report.findings).values())


class Pairs:
    """Changed copies of the built-in model beside it, vocabulary only."""

    def __init__(self, stack: ExitStack, whole: OpenedModel, folder: Path) -> None:
        self.whole = whole
        self._stack, self._folder = stack, folder

    def with_change(self, change: Callable[[bytearray], None]) -> ModelPair:
        path = altered(self.whole.metadata.path, self._folder / "x.gguf", change)
        return ModelPair(opened(self._stack, path), self.whole)


def opened(stack: ExitStack, path: Path) -> OpenedModel:
    subject = OpenedModel(gguf_metadata(path), stack.enter_context(open_vocabulary(path)))
    return replace(subject, template=template.open_template(subject)[0])


@pytest.fixture(scope="module")
def whole(builtin_model_path: Path) -> Iterator[OpenedModel]:
    with ExitStack() as stack:
        yield opened(stack, builtin_model_path)


@pytest.fixture
def pairs(whole: OpenedModel, tmp_path: Path) -> Iterator[Pairs]:
    with ExitStack() as stack:
        yield Pairs(stack, whole, tmp_path)


def one(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_text_that_is_split_in_another_way(pairs: Pairs) -> None:
    """SmolLM2 takes every digit by itself; what llama.cpp assumes instead takes several."""
    pair = pairs.with_change(renamed("tokenizer.ggml.pre"))
    finding = one(same_model.same_text_ids(pair))
    assert finding.mark is Mark.FAIL
    assert {"numbers", "JSON"} <= set(finding.details["different"])
    assert "Chinese" not in finding.details["different"]


def test_another_template(pairs: Pairs) -> None:
    """Which of two templates is right nobody can tell from them: go by the publisher's."""
    pair = pairs.with_change(replaced(b"named SmolLM, trained", b"named Nobody, trained"))
    finding = one(same_model.same_prompt_ids(pair))
    assert finding.mark is Mark.WARN
    assert (
        finding.details["different"] and "with a system prompt" not in finding.details["different"]
    )
    without = ModelPair(replace(pair.model, template=None), pair.reference)
    assert one(same_model.same_prompt_ids(without)).mark is Mark.WARN


def test_an_end_that_only_one_of_them_has(pairs: Pairs) -> None:
    metadata = replace(pairs.whole.metadata, end_claims=(Claim("generation_config.json", 7),))
    finding = one(
        same_model.same_ends(ModelPair(replace(pairs.whole, metadata=metadata), pairs.whole))
    )
    assert finding.mark is Mark.WARN and "7 " in finding.found
    assert one(same_model.same_ends(ModelPair(pairs.whole, pairs.whole))).mark is Mark.PASS


def test_passages_are_long_enough_to_say_something(pairs: Pairs) -> None:
    passages = build_passages(pairs.whole)
    assert sum(passage.length for passage in passages) == 3 * 20 + 8
    base = build_passages(replace(pairs.whole, template=None))
    assert sum(passage.follow is None for passage in base) == 1


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 30.0))
def test_divergence_is_torchs(seed: int, scale: float) -> None:
    """Against torch's own KL divergence in float64, on rows as peaked as models' are."""
    # Not at the top: whoever loads OpenMP first decides how long its threads spin.
    import torch

    generator = np.random.default_rng(seed)
    theirs, ours = (generator.normal(size=WIDTH).astype(np.float32) * scale for _ in range(2))
    measured = measured_on([theirs], [ours])
    expected = torch.nn.functional.kl_div(
        torch.log_softmax(torch.tensor(ours, dtype=torch.float64), 0),
        torch.log_softmax(torch.tensor(theirs, dtype=torch.float64), 0),
        reduction="sum",
        log_target=True,
    )
    assert measured.kl[0] == pytest.approx(float(expected), rel=1e-4, abs=1e-5)
    assert measured.same == [theirs.argmax() == ours.argmax()]


def measured_on(theirs: Sequence[Logits], ours: Sequence[Logits]) -> Distance:
    """Two models that say these rows after a first token, whatever was said before."""
    passage = [Passage("text", (0,), None, len(theirs))]
    reference = ScriptedRunner(lambda ids: padded(theirs[len(ids) - 1]), slots=1)
    recordings = record(reference, passage, WIDTH, lambda: None)
    model = ScriptedRunner(lambda ids: padded(ours[len(ids) - 1]), slots=1)
    return compare(model, recordings, WIDTH, lambda: None)


def padded(row: Logits) -> Logits:
    whole = np.full(ScriptedRunner.vocab_size, 50.0, dtype=np.float32)
    whole[: len(row)] = row
    return whole


def test_every_place_is_read_behind_the_ids_before_it() -> None:
    """Side by side in slots, each text is as if it were alone; the books of the cache agree."""
    seen: list[tuple[int, ...]] = []

    def script(ids: Sequence[int]) -> Logits:
        seen.append(tuple(ids))
        row = np.zeros(ScriptedRunner.vocab_size, dtype=np.float32)
        row[(sum(ids) * 7) % WIDTH] = 9.0
        return row

    runner = ScriptedRunner(script, slots=3)
    steps: list[None] = []
    recordings = record(runner, PASSAGES, WIDTH, lambda: steps.append(None))
    assert len(steps) == count_steps(PASSAGES)
    for recording in recordings:
        ids = recording.passage.given
        for token_id, row in zip(recording.ids, recording.rows, strict=True):
            assert int(row.argmax()) == (sum(ids) * 7) % WIDTH
            assert ids in seen
            ids = (*ids, token_id)
    assert recordings[0].ids == (4, 5, 6, 7)
    assert recordings[2].ids[0] == 14
    again = compare(runner, recordings, WIDTH, lambda: None)
    assert max(again.kl) == 0.0 and all(again.same) and not again.divergent_replies


@pytest.mark.slow
def test_real_rows_are_those_of_one_sequence_alone(builtin_model_path: Path) -> None:
    """Prefilled at once and alone, a text's last row is what was recorded beside others."""
    model = real_model(builtin_model_path, slots=3, context=256)
    try:
        ids = model.tokenizer.encode("The capital of France is Paris, a city", control=False)
        passages = [
            Passage("a", tuple(ids[:3]), tuple(ids[3:]), len(ids) - 3),
            Passage("b", tuple(ids[2:4]), None, 5),
        ]
        recorded = record(model.runner, passages, 49152, lambda: None)[0]
        model.runner.truncate(2, 0)
        alone = model.runner.forward([(2, 0, ids[:-1], True)])[0]  # type: ignore[list-item]
        # 4-bit weights: see docs/decisions/float32-tests.md for how far chunks move logits.
        assert np.exp(recorded.rows[-1]) == pytest.approx(np.exp(log_softmax(alone)), abs=0.05)
    finally:
        model.runner.close()


def test_a_reply_is_parted_once_and_by_how_much() -> None:
    def sure_of(token_id: int, other: int, lead: float) -> Logits:
        row = np.full(WIDTH, -20.0, dtype=np.float32)
        row[token_id], row[other] = 5.0, 5.0 - lead
        return row

    theirs = [sure_of(3, 4, 2.0), sure_of(5, 6, 4.0), sure_of(7, 8, 1.0)]
    ours = [sure_of(3, 4, 1.0), sure_of(6, 5, 1.0), sure_of(8, 7, 1.0)]
    measured = measured_on(theirs, ours)
    assert measured.same == [True, False, False] and measured.replies == 1
    (parting,) = measured.divergent_replies
    assert (parting.place, parting.reference, parting.model) == (1, 5, 6)
    assert parting.lead == pytest.approx(np.tanh(2.0), abs=1e-3)


@pytest.mark.parametrize("row", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_logits_that_are_no_numbers(row: list[float]) -> None:
    with pytest.raises(NonFiniteLogits):
        log_softmax(np.array(row, dtype=np.float32))


# What llama.cpp's perplexity tool measured on Llama-3-8B, and what we did on SmolLM2-135M
# (docs/decisions/doctor.md): bits, mean KL, share of the same likeliest token.
USUAL = [
    (16, 0.000025, 0.9974), (16, 0.00017, 0.986), (16, 0.0012, 0.968),
    (8, 0.0014, 0.977), (8, 0.0045, 0.960),
    (6, 0.0055, 0.960), (6, 0.0156, 0.928), (5, 0.0108, 0.95), (4, 0.0313, 0.919),
    (4, 0.0719, 0.88), (4, 0.0732, 0.856),
]  # fmt: skip
WRONG = [(16, 0.066, 0.878), (16, 0.193, 0.77), (4, 1.73, 0.43), (8, 0.193, 0.77)]


@pytest.mark.parametrize(("bits", "kl", "same"), USUAL)
def test_what_quantisation_usually_costs_is_no_reason_to_worry(
    bits: int, kl: float, same: float
) -> None:
    assert bounds_for(bits).mark_kl(kl) is bounds_for(bits).mark_same(same) is Mark.PASS


@pytest.mark.parametrize(("bits", "kl", "same"), WRONG)
def test_what_wrong_conversions_cost_is_a_failure(bits: int, kl: float, same: float) -> None:
    bounds = bounds_for(bits)
    assert Mark.FAIL in (bounds.mark_kl(kl), bounds.mark_same(same))


def test_bounds_widen_with_fewer_bits() -> None:
    rows = [bounds_for(bits) for bits in (32, 16, 8, 6, 5, 4, 3, 1)]
    for finer, coarser in pairwise(rows):
        assert finer.kl_usual <= coarser.kl_usual < coarser.kl_most
        assert finer.kl_most <= coarser.kl_most
        assert coarser.same_least < coarser.same_usual <= finer.same_usual
    assert bounds_for(2) is bounds_for(3)


@pytest.mark.parametrize(("lead", "mark"), [(0.02, Mark.PASS), (0.7, Mark.WARN)])
def test_a_reply_that_parts(pairs: Pairs, lead: float, mark: Mark) -> None:
    """A close call may go either way; a sure token that is lost is worth a look."""
    parting = DivergentReply("Why?", 4, 100, 200, lead)
    measured = Distance([0.001], [True], 3, [parting], "Why?")
    findings = list(evaluate(ModelPair(pairs.whole, pairs.whole), measured))
    replies = found(findings, "replies")
    assert replies.mark is mark and replies.details["first_divergence"] == 4
    assert "2 of 3 greedy replies" in replies.found
