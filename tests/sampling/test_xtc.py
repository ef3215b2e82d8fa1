"""XTC acts where the second number of a place says so, and moves no other number."""

from dataclasses import replace

import numpy as np
import pytest

from glasschat.sampling import Sampler, SamplingParams
from glasschat.sampling.draw import seeded_draws
from glasschat.sampling.xtc import apply_xtc

SIZE, TOKENS = 50, 200
PARAMS = SamplingParams(temperature=1.0, top_p=1.0, repetition_penalty=1.0, seed=11)


def rows() -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    random = np.random.default_rng(3)
    return [random.normal(size=SIZE).astype(np.float32) for _ in range(TOKENS)]


def sampler(params: SamplingParams, reply: tuple[int, ...] = ()) -> Sampler:
    return Sampler(params, [1], end_ids=[0], vocab_size=SIZE, reply_ids=reply)


@pytest.mark.parametrize("probability", [0.2, 0.5, 1.0])
def test_it_acts_where_the_second_number_is_at_most_its_probability(probability: float) -> None:
    plain = sampler(PARAMS)
    some = sampler(replace(PARAMS, xtc_probability=probability, xtc_threshold=0.02))
    second = seeded_draws(11, 0, TOKENS, stream=1)
    for row, number in zip(rows(), second, strict=True):
        with_it, without = some.sample(row).record, plain.sample(row).record
        assert with_it is not None and without is not None
        assert with_it.u == without.u
        (stage,) = with_it.stages
        assert (stage.kept < SIZE) == (number <= probability)
    assert abs(np.mean(second <= probability) - probability) < 0.1


def test_a_reply_that_goes_on_has_the_chances_that_it_would_have_had() -> None:
    params = replace(PARAMS, xtc_probability=0.5, xtc_threshold=0.02)
    whole = sampler(params)
    ids = [whole.sample(row).token_id for row in rows()]
    rest = sampler(params, tuple(ids[:80]))
    assert [rest.sample(row).token_id for row in rows()[80:]] == ids[80:]


def test_one_top_choice_alone_stays() -> None:
    row = np.array([9.0, 1.0, 0.0], np.float32)
    assert apply_xtc(row, 0.1) is row


def test_of_equals_the_highest_id_stays() -> None:
    assert apply_xtc(np.zeros(4, np.float32), 0.2).tolist() == [-np.inf, -np.inf, -np.inf, 0.0]
