"""/v1/completions, /tokenize and /detokenize: no template."""

from typing import Any

import pytest

from glasschat.models.scripted import BOS, END, HEADER_END
from tests.api.conftest import SAYING
from tests.api.serving import COMPLETIONS, Served

OPENED = "<|/head|>"


def test_a_text_goes_on(talker: Served) -> None:
    body = talker.post(COMPLETIONS, {"prompt": OPENED}).json()
    assert (body["object"], body["id"][:5]) == ("text_completion", "cmpl-")
    assert body["choices"] == [
        {"index": 0, "text": SAYING, "logprobs": None, "finish_reason": "stop"}
    ]


def test_a_stream_of_it(talker: Served) -> None:
    asked = {"prompt": OPENED, "stream_options": {"include_usage": True}, "echo": True}
    *events, last = talker.events(COMPLETIONS, **asked)
    assert last["choices"] == [] and last["usage"]["prompt_tokens"] == 2
    choices = [choice for event in events for choice in event["choices"]]
    assert "".join(choice["text"] for choice in choices) == OPENED + SAYING
    assert [c["finish_reason"] for c in choices][-2:] == [None, "stop"]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("H", ["ello"]),
        (["H", "Hello "], ["ello", "wör"]),
        ([BOS, HEADER_END, *b"Hell"], ["o w"]),  # the fourth token is half a character
        ([[HEADER_END], [HEADER_END, *b"Hel"]], ["Hell", "lo w"]),
    ],
)
def test_prompts_in_every_form(talker: Served, prompt: Any, expected: list[str]) -> None:
    if isinstance(prompt, str):
        prompt = OPENED + prompt
    elif isinstance(prompt[0], str):
        prompt = [OPENED + p for p in prompt]
    for stream in (False, True):
        asked = {"prompt": prompt, "max_tokens": 4}
        if stream:
            choices = [c for e in talker.events(COMPLETIONS, **asked) for c in e["choices"]]
        else:
            choices = talker.post(COMPLETIONS, asked).json()["choices"]
        for index, text in enumerate(expected):
            said = "".join(c["text"] for c in choices if c["index"] == index)
            assert said == text


def test_choices_are_numbered_prompt_by_prompt(babbler: Served) -> None:
    asked = {"n": 2, "max_tokens": 10, "temperature": 2.0, "seed": 4}
    together = babbler.post(COMPLETIONS, {"prompt": ["a", "b"], **asked}).json()
    texts = [choice["text"] for choice in together["choices"]]
    assert [choice["index"] for choice in together["choices"]] == [0, 1, 2, 3]
    alone = babbler.post(COMPLETIONS, {"prompt": "a", **asked}).json()["choices"]
    assert texts[:2] == [choice["text"] for choice in alone]
    assert together["usage"]["prompt_tokens"] == 4  # each prompt once, with its begin-of-text


def test_log_probabilities_as_lists(babbler: Served) -> None:
    asked = {"prompt": "x", "max_tokens": 9, "logprobs": 3, "seed": 6}
    choice = babbler.post(COMPLETIONS, asked).json()["choices"][0]
    told = choice["logprobs"]
    assert {len(told[name]) for name in told} == {9}
    # The token that was drawn is among the likeliest ones told, one more where it is none of them.
    for token, logprob, top in zip(
        told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True
    ):
        assert top[token] == logprob
        assert 3 <= len(top) <= 4
    for token, offset in zip(told["tokens"], told["text_offset"], strict=True):
        if not token.startswith("bytes:"):
            # Where bytes came before that are no text, they are shown just before the token.
            assert token in choice["text"][offset : offset + len(token) + 3]


def test_control_pieces_are_control_tokens_unless_said_otherwise(talker: Served) -> None:
    """Whoever writes a whole prompt writes its template too; vLLM and llama.cpp do the same."""
    tokens = lambda **more: talker.post("/tokenize", more).json()["tokens"]  # noqa: E731
    assert tokens(prompt="<s>a<|end|>") == [BOS, ord("a"), END]
    assert tokens(prompt="<|end|>", parse_special=False) == [BOS, *b"<|end|>"]
    assert tokens(prompt="a", add_special_tokens=False) == [ord("a")]
    as_text = {"prompt": OPENED, "parse_special": False, "max_tokens": 3}
    with_control = {"prompt": OPENED, "max_tokens": 3}
    usage = [talker.post(COMPLETIONS, p).json()["usage"] for p in (as_text, with_control)]
    assert [u["prompt_tokens"] for u in usage] == [1 + len(OPENED), 2]


def test_tokenize_and_back(talker: Served) -> None:
    asked = {"prompt": "hé", "return_token_strs": True, "add_special_tokens": False}
    told = talker.post("/tokenize", asked).json()
    assert (told["count"], told["max_model_len"]) == (3, 512)
    assert told["token_strs"] == ["h", "\ufffd", "\ufffd"]
    assert talker.post("/detokenize", {"tokens": told["tokens"]}).json() == {"prompt": "hé"}


def test_a_conversation_as_its_reply_reads_it(talker: Served) -> None:
    messages = [{"role": "user", "content": "<|end|>"}]
    told = talker.post("/tokenize", {"messages": messages}).json()
    assert told["tokens"].count(END) == 1  # the template's, not the content's
    chat = talker.post("/v1/chat/completions", {"messages": messages}).json()
    assert chat["usage"]["prompt_tokens"] == told["count"]


@pytest.mark.parametrize(
    "body", [{}, {"prompt": "a", "messages": [{"role": "user", "content": "b"}]}]
)
def test_tokenize_takes_one_of_both(talker: Served, body: Any) -> None:
    answer = talker.post("/tokenize", body)
    assert answer.status_code == 400
    assert "prompt or messages" in answer.json()["error"]["message"]


def test_ids_beyond_the_vocabulary(talker: Served) -> None:
    for path, body in (("/detokenize", {"tokens": [260]}), (COMPLETIONS, {"prompt": [260]})):
        answer = talker.post(path, body)
        assert answer.status_code == 400
        assert "260" in answer.json()["error"]["message"]
