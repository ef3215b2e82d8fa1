"""The short list chooses what the whole row would have chosen, and says the same of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.sampling import SamplingParams, Stage, StageContext, build_stages
from glasschat.sampling import sampler as sampler_module
from tests.sampling.choosing import PARAMS, sampler, told
from tests.sampling.rows import Row, make_row, rows

MORE = {
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "no_repeat_ngram_size": st.integers(0, 3),
    "min_new_tokens": st.integers(0, 2),
    "logit_bias": st.dictionaries(st.integers(0, 2), st.floats(-100, 100), max_size=2),
    "stages": st.permutations(list(SamplingParams().stages)).map(tuple),
}


@dataclass(frozen=True)
class WholeRowOnly:
    """Somebody's stage, which knows nothing of short lists."""

    inner: Stage

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def kind(self) -> Any:
        return self.inner.kind

    def __call__(self, scores: Row, context: StageContext) -> Row:
        return self.inner(scores, context)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(rows(9000), PARAMS, st.fixed_dictionaries({}, optional=MORE))
def test_a_short_list_and_the_whole_row_choose_and_tell_alike(
    row: Row, params: dict[str, Any], more: dict[str, Any]
) -> None:
    settings = {"seed": 5} | params | more
    settings["logit_bias"] = {
        i: bias for i, bias in settings.get("logit_bias", {}).items() if i < len(row)
    }
    if len(row) < 4:
        settings["no_repeat_ngram_size"] = settings["min_new_tokens"] = 0
    order = settings.pop("stages", SamplingParams().stages)
    stages = build_stages(SamplingParams(**settings, stages=order))
    quick = sampler(row, stages=stages, **settings)
    slow = sampler(row, stages=[WholeRowOnly(s) for s in stages], **settings)
    for _ in range(3):
        try:
            expected = slow.sample(row)
        except Exception as error:
            with pytest.raises(type(error), match=r".") as caught:
                quick.sample(row)
            assert str(caught.value) == str(error)
            return
        found = quick.sample(row)
        assert found.token_id == expected.token_id
        ours, theirs = told(found), told(expected)
        assert ours.u == theirs.u
        assert ours.probability == pytest.approx(theirs.probability, rel=1e-5)
        for a, b in zip(ours.stages, theirs.stages, strict=True):
            assert (a.name, a.kept) == (b.name, b.kept)
            assert a.mass == pytest.approx(b.mass, rel=1e-5)


def test_a_penalty_after_a_cut_and_a_temperature_finds_its_tokens() -> None:
    # The tokens of the prompt, of which the cut has left one, not where it stood.
    row = make_row(3, 5000, "peaked", 2.0, 0.0)
    row[[0, 1]] = -3.0, row.max() + 1.0
    order = ("top_k", "temperature", "repetition_penalty")
    rest = tuple(name for name in SamplingParams().stages if name not in order)
    settings = {"top_k": 20, "temperature": 0.5, "repetition_penalty": 1.5, "top_p": 1.0}
    stages = build_stages(SamplingParams(**settings, stages=order + rest))
    quick = sampler(row, stages=stages, **settings)
    slow = sampler(row, stages=[WholeRowOnly(s) for s in stages], **settings)
    for _ in range(5):
        found, expected = quick.sample(row), slow.sample(row)
        assert found.token_id == expected.token_id
        assert told(found).probability == pytest.approx(told(expected).probability, rel=1e-5)


def test_an_ordinary_row_at_the_default_settings_never_needs_the_whole_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the whole row was run")

    monkeypatch.setattr(sampler_module, "run_whole_row", refuse)
    row = make_row(1, 9000, "peaked", 3.0, 0.0)
    for settings in ({}, {"top_k": 40}, {"min_p": 0.05}, {"do_sample": False}):
        chooser = sampler(row, **settings)
        for _ in range(5):
            assert np.isfinite(row[chooser.sample(row).token_id])
