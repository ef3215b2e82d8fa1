"""A sequence breaker is found in whatever tokens its text may be written with."""

import numpy as np

from glasschat.sampling import SamplingParams
from glasschat.sampling.breakers import resolve_breakers
from glasschat.sampling.dry import Dry, repeat_lengths


class Letters:
    """A vocabulary of a few words, which are encoded letter by letter."""

    words = (b"a", b"b", b"c", b"ab", b"xa", b"\n", b"a\nb")
    vocab_size = len(words)

    def encode(self, text: str, *, control: bool) -> list[int]:
        return [self.words.index(letter.encode()) for letter in text]

    def token_bytes(self, token_id: int) -> bytes:
        return self.words[token_id]


def test_a_token_that_contains_it_breaks_alone() -> None:
    assert resolve_breakers(["\n"], Letters()) == {5: ((),), 6: ((),)}


def test_a_token_that_ends_as_it_begins_breaks_when_the_rest_follows() -> None:
    assert resolve_breakers(["abc"], Letters()) == {0: ((1, 2),), 3: ((2,),), 4: ((1, 2),)}


def test_no_repeat_reaches_over_a_breaker() -> None:
    ids = np.array([0, 1, 2, 0, 5, 1], np.int64)
    assert repeat_lengths(ids, 1, -1, {}) == {2: 1}
    assert repeat_lengths(ids, 1, -1, {5: ((),)}) == {2: 1}
    assert repeat_lengths(ids, 2, -1, {5: ((),)}) == {}


def test_a_setting_asks_for_the_stage_with_its_texts() -> None:
    slot = SamplingParams(dry_multiplier=0.8, dry_sequence_breakers=["x"])
    assert slot.dry_sequence_breakers == ("x",)
    assert Dry(0.8, 1.75, 2, -1, ("x",)) == Dry(0.8, 1.75, 2, -1, ("x",)).with_breakers({})
