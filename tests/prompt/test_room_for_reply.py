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


@pytest.mark.parametrize(
    ("prompt", "max_length", "context", "says"),
    [
        (9000, 8192, 32768,
         r"max length 8,192.*shorten it by 809 tokens, or raise max length, to 32,768 at most$"),
        (9000, 8192, 9001, r"raise max length, to 9,001 at most$"),
        (9000, 8192, 9000, r"max length 8,192.*shorten it by 809 tokens$"),
        (9000, 8192, 8192, r"context 8,192.*shorten it by 809 tokens$"),
        (9000, 8192, 4096, r"context 4,096.*shorten it by 4,905 tokens$"),
    ],
)  # fmt: skip
def test_way_out_is_one_that_works(prompt: int, max_length: int, context: int, says: str) -> None:
    """A greater max length is one for as long as the context holds the prompt and a token more."""
    with pytest.raises(PromptTooLong, match=says):
        room_for_reply(prompt, SamplingParams(max_length=max_length), context)
