"""Slots keep what was computed, and give it to whoever can use most of it."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glasschat.engine.prefix_cache import HostPrefixCache, to_array
from glasschat.engine.slots import SlotPool
from glasschat.models.base import ForwardRow
from glasschat.models.scripted import ScriptedRunner


def pool(slots: int = 3, *, reuse: bool = True) -> tuple[SlotPool, ScriptedRunner]:
    runner = ScriptedRunner(lambda _ids: 0, slots=slots)
    return SlotPool(runner, reuse=reuse), runner


def run(slots: SlotPool, runner: ScriptedRunner, prompt: list[int]) -> tuple[int, int]:
    """Serve `prompt` to its end; which slot it had and how much of it was cached."""
    found = slots.acquire(prompt)
    assert found is not None
    slot, cached = found
    runner.forward([ForwardRow(slot.index, cached, prompt[cached:], False)])
    slot.ids.extend(prompt[cached:])
    slots.release(slot)
    return slot.index, cached


def test_the_next_turn_finds_its_conversation() -> None:
    slots, runner = pool()
    first, _ = run(slots, runner, [1, 2, 3])
    run(slots, runner, [7, 8, 9])
    assert run(slots, runner, [1, 2, 3, 4, 5]) == (first, 3)


def test_the_last_token_is_always_computed() -> None:
    """Its logits are needed, so the same prompt again is one short of wholly cached."""
    slots, runner = pool()
    run(slots, runner, [1, 2, 3])
    assert run(slots, runner, [1, 2, 3])[1] == 2


def test_a_prefix_is_copied_from_a_busy_slot() -> None:
    slots, runner = pool()
    found = slots.acquire([1, 2, 3, 4])
    assert found is not None
    busy, _ = found
    runner.forward([ForwardRow(busy.index, 0, [1, 2, 3, 4], False)])
    busy.ids.extend([1, 2, 3, 4])
    other = slots.acquire([1, 2, 3, 9])
    assert other is not None
    slot, cached = other
    assert slot is not busy
    assert cached == 3
    assert runner.cache[slot.index] == [1, 2, 3]
    assert runner.cache[busy.index] == [1, 2, 3, 4]


def test_a_shared_system_prompt_does_not_cost_another_conversation_its_cache() -> None:
    slots, runner = pool()
    long = [1, 2, 3, *range(10, 60)]
    run(slots, runner, long)
    _, cached = run(slots, runner, [1, 2, 3, 4])
    assert cached == 3
    assert run(slots, runner, [*long, 99])[1] == len(long)


def test_the_least_recently_used_slot_gives_way() -> None:
    slots, runner = pool(2)
    run(slots, runner, [1, 1, 1])
    run(slots, runner, [2, 2, 2])
    run(slots, runner, [3, 3, 3])
    assert [s.ids for s in slots.slots] == [[3, 3, 3], [2, 2, 2]]


def test_a_newcomer_takes_the_stale_slot_and_not_the_last_used() -> None:
    """Whatever their lengths, and also when all begin alike, as chats with one template do."""
    slots, runner = pool(2)
    run(slots, runner, [9, *range(100, 150)])
    run(slots, runner, [9, 2, 2])
    run(slots, runner, [9, 3, 3])
    assert sorted(s.ids for s in slots.slots) == [[9, 2, 2], [9, 3, 3]]


def test_a_reply_asked_for_anew_finds_its_prompt() -> None:
    """However long the old reply was: it is the one that is replaced."""
    slots, runner = pool(3)
    first, _ = run(slots, runner, [1, 2, 3, *range(10, 60)])
    assert run(slots, runner, [1, 2, 3]) == (first, 2)


def test_exact_mode_starts_on_an_empty_cache() -> None:
    slots, runner = pool(1, reuse=False)
    run(slots, runner, [1, 2, 3])
    found = slots.acquire([1, 2, 3, 4])
    assert found is not None
    assert found[1] == 0
    assert runner.cache[0] == []


def test_no_slot_when_all_are_busy() -> None:
    slots, _ = pool(1)
    assert slots.acquire([1]) is not None
    assert slots.acquire([1]) is None


def test_a_cache_that_cannot_be_cut_is_prefilled_anew() -> None:
    """A recurrent state has no positions: the runner says no, and the books say empty."""

    class Recurrent(ScriptedRunner):
        def truncate(self, slot: int, length: int) -> bool:
            if length == len(self.cache[slot]):
                return True
            self.cache[slot].clear()
            return length == 0

        def copy_prefix(self, source: int, target: int, length: int) -> bool:
            self.cache[target].clear()
            return False

    runner = Recurrent(lambda _ids: 0, slots=2)
    slots = SlotPool(runner)
    run(slots, runner, [1, 2, 3])
    assert run(slots, runner, [1, 2, 9])[1] == 0
    slots.check_integrity()
    assert slots.repairs == 0


def long(first: int, length: int = 100) -> list[int]:
    return [first, *range(length - 1)]


def caching_pool(
    slots: int, prefix_cache_bytes: int, *, crowded: bool = False
) -> tuple[SlotPool, Any]:
    runner = ScriptedRunner(lambda _ids: 0, slots=slots)
    runner.idle_slots_cost = crowded
    return SlotPool(runner, prefix_cache_bytes=prefix_cache_bytes), runner


def test_a_conversation_without_a_slot_comes_back_from_the_prefix_cache() -> None:
    slots, runner = caching_pool(1, 10_000)
    for first in range(5):
        run(slots, runner, long(first))
    for first in range(5):
        assert run(slots, runner, [*long(first), 7, 7])[1] == 100
    # What began another conversation's prompt stays for that one.
    assert run(slots, runner, [*long(3)[:80], 8])[1] == 80
    assert run(slots, runner, [*long(2), 7, 7, 9])[1] == 102


def test_the_prefix_cache_keeps_to_its_size_and_drops_the_oldest() -> None:
    slots, runner = caching_pool(1, 3 * 800)
    for first in range(6):
        run(slots, runner, long(first))
        assert slots.prefix_cache.bytes <= 3 * 800
    assert run(slots, runner, long(1))[1] == 0
    assert run(slots, runner, long(4))[1] == 99


def test_a_longer_past_takes_the_place_of_its_beginning() -> None:
    cache = HostPrefixCache(10_000)
    cache.store(to_array(long(1)), np.zeros(100))
    cache.store(to_array([*long(1), 5]), np.zeros(101))
    assert len(cache) == 1
    assert cache.bytes == 808
    assert cache.contains(to_array(long(1)))


def test_what_went_wrong_is_not_loaded_from_the_prefix_cache() -> None:
    slots, runner = caching_pool(1, 10_000)
    run(slots, runner, long(1))
    run(slots, runner, long(2))
    found = slots.acquire([*long(1)[:80], 4])
    assert found is not None
    slot, cached = found
    assert cached == 80
    slots.invalidate(slot)
    slots.release(slot)
    assert run(slots, runner, long(1))[1] == 0
    assert run(slots, runner, long(2))[1] == 99


def test_idle_slots_are_emptied_where_they_would_slow_down_the_others() -> None:
    slots, runner = caching_pool(3, 10_000, crowded=True)
    run(slots, runner, long(1))
    run(slots, runner, long(2))
    assert [len(cache) for cache in runner.cache].count(0) == 2
    # One that goes on alone stays where it is.
    held = slots.prefix_cache.bytes
    assert run(slots, runner, [*long(2), 3])[1] == 100
    assert slots.prefix_cache.bytes == held
    assert run(slots, runner, [*long(1), 3])[1] == 100


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 150), st.integers(0, 2)), max_size=20),
    st.sampled_from([0, 1000, 10_000]),
    st.booleans(),
)
def test_the_recorded_ids_agree_with_the_runner_whatever_is_cached(
    asked: list[tuple[int, int, int]], prefix_cache_bytes: int, crowded: bool
) -> None:
    slots, runner = caching_pool(2, prefix_cache_bytes, crowded=crowded)
    for first, length, last in asked:
        prompt = [*long(first, length), 500 + last]
        _, cached = run(slots, runner, prompt)
        assert cached < len(prompt)
        for slot in slots.slots:
            assert slot.ids == runner.cache[slot.index]
        assert prompt in runner.cache
        assert slots.prefix_cache.bytes <= prefix_cache_bytes
    slots.check_integrity()
    assert slots.repairs == 0


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), max_size=20))
def test_the_books_always_agree_with_the_cache(prompts: list[list[int]]) -> None:
    """Whatever is asked in whatever order, what a slot says it holds is what it holds."""
    slots, runner = pool(3)
    for prompt in prompts:
        _, cached = run(slots, runner, prompt)
        assert cached < len(prompt)
        for slot in slots.slots:
            assert slot.ids == runner.cache[slot.index]
    slots.check_integrity()
    assert slots.repairs == 0


def test_the_idle_check_mends_a_slot_that_differs() -> None:
    slots, runner = pool(2)
    run(slots, runner, [1, 2, 3])
    runner.cache[0].pop()
    slots.check_integrity()
    assert slots.repairs == 1
    assert slots.slots[0].ids == runner.cache[0] == []
