"""Every family that is promised, against transformers' own attention on the same weights.

Sequences that come and go at different times, in one batch, must have the logits that each has
alone. A window, a cap or a scale that was left out would not show in a short chat and ruin a long
one, so the windows here are shorter than the sequences.
"""

import pytest

from glasschat.models.hf.families import TESTED
from tests.support.hf_families import FAMILIES, TOLERANCE, Conversations, converse, ours, stock


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_staggered_batches_equal_each_sequence_alone(kind: str) -> None:
    model = stock(kind)
    conversations = Conversations(model, ours(model))
    converse(conversations)
    assert conversations.worst < TOLERANCE


def test_what_is_promised_is_what_is_tested() -> None:
    assert set(FAMILIES) == TESTED
