"""The number of threads follows the machine, and changing it costs little."""

import random
from collections.abc import Callable

from glasschat.models.thread_tuner import ThreadTuner


def quiet(threads: int) -> float:
    return {1: 0.0125, 2: 0.0075}[threads]


def busy(threads: int) -> float:
    """Two threads that wait for each other beside a neighbour: measured, not made up."""
    return {1: 0.014, 2: 0.08}[threads]


def run(tuner: ThreadTuner, cost: Callable[[int], float], steps: int, seed: int = 0) -> float:
    """Seconds that `steps` single tokens take."""
    chance = random.Random(seed)
    total = 0.0
    for _ in range(steps):
        seconds = cost(tuner.choose(1)) * chance.uniform(0.95, 1.15)
        tuner.record_step(1, seconds)
        total += seconds
    return total


def test_on_a_quiet_machine_all_cores_compute_and_looking_costs_little() -> None:
    tuner = ThreadTuner(2)
    seconds = run(tuner, quiet, 2000)
    assert tuner.choose(1) == 2
    assert seconds < 1.08 * 2000 * quiet(2)


def test_a_busy_neighbour_is_noticed_within_a_few_tokens() -> None:
    tuner = ThreadTuner(2)
    run(tuner, quiet, 200)
    seconds = run(tuner, busy, 100)
    assert tuner.choose(1) == 1
    assert seconds < 1.6 * 100 * busy(1)


def test_when_the_neighbour_is_gone_all_cores_come_back() -> None:
    tuner = ThreadTuner(2)
    run(tuner, quiet, 100)
    run(tuner, busy, 400)
    run(tuner, quiet, 1700)
    assert tuner.choose(1) == 2


def test_steps_of_other_sizes_are_judged_by_themselves() -> None:
    tuner = ThreadTuner(2)
    run(tuner, busy, 200)
    assert tuner.choose(1) == 1
    assert tuner.choose(256) == 2


def test_one_core_has_no_choice() -> None:
    tuner = ThreadTuner(1)
    run(tuner, lambda _threads: random.random(), 300)
    assert tuner.choose(1) == 1


def test_many_cores_may_give_up_one_or_half() -> None:
    tuner = ThreadTuner(16)
    assert tuner.counts == (16, 15, 8)
    costs = {16: 0.05, 15: 0.01, 8: 0.016}
    run(tuner, costs.__getitem__, 600)
    assert tuner.choose(1) == 15
