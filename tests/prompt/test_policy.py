"""A prompt that does not fit is refused with both numbers; nothing is dropped."""

import pytest

from glasschat.errors import PromptTooLong
from glasschat.prompt import room_for_reply
from glasschat.sampling.params import SamplingParams


@pytest.mark.parametrize(
    ("prompt", "max_length", "max_new_tokens", "context", "room"),
    [
        (10, 100, None, 8192, 90),
        (10, 8192, None, 64, 54),
        (10, 100, 5, 8192, 5),
        (10, 100, 500, 8192, 90),
        (99, 100, None, 8192, 1),
    ],
)
def test_room_is_what_is_left(
    prompt: int, max_length: int, max_new_tokens: int | None, context: int, room: int
) -> None:
    params = SamplingParams(max_length=max_length, max_new_tokens=max_new_tokens)
    assert room_for_reply(prompt, params, context) == room


@pytest.mark.parametrize(("prompt", "context", "limit"), [(100, 8192, 100), (64, 64, 64)])
def test_prompt_without_room_says_by_how_much(prompt: int, context: int, limit: int) -> None:
    with pytest.raises(PromptTooLong) as caught:
        room_for_reply(prompt, SamplingParams(max_length=100), context)
    assert (caught.value.needed, caught.value.limit) == (prompt, limit)
