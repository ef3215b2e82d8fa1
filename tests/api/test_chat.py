"""/v1/chat/completions, as OpenAI's reference describes it."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from glasschat.models.base import Logits
from glasschat.models.scripted import reply_script, scripted_model
from tests.api.conftest import SAYING
from tests.api.serving import CHAT, HELLO, Served, babble, served


def text_of(events: list[Any], index: int = 0) -> str:
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(c["delta"].get("content", "") for c in choices if c["index"] == index)


def test_a_whole_reply(talker: Served) -> None:
    answer = talker.chat()
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == "scripted"
    (choice,) = body["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": SAYING, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    usage = body["usage"]
    assert usage["completion_tokens"] == len(SAYING.encode()) + 1  # the end token counts
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_second_time_the_prompt_comes_from_the_cache(talker: Served) -> None:
    talker.chat()
    usage = talker.chat().json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached == usage["prompt_tokens"] - 1


def test_the_form_of_a_stream(talker: Served) -> None:
    events = talker.events(stream_options={"include_usage": True})
    assert len({event["id"] for event in events}) == 1
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    *with_choice, last = events
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == len(SAYING.encode()) + 1
    assert all("usage" not in event for event in with_choice)
    deltas = [event["choices"][0]["delta"] for event in with_choice]
    assert [d.get("role") for d in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
    reasons = [event["choices"][0]["finish_reason"] for event in with_choice]
    assert reasons == [None] * (len(reasons) - 1) + ["stop"]


def test_usage_in_every_chunk_for_who_wants_it(talker: Served) -> None:
    """guidellm does: it counts tokens by it."""
    options = {"include_usage": True, "continuous_usage_stats": True}
    events = talker.events(stream_options=options)
    counts = [event["usage"]["completion_tokens"] for event in events if "usage" in event]
    assert counts == sorted(counts)
    assert len(counts) == len(events) - 1  # all but the one that says whose turn it is


def test_a_character_of_four_tokens_comes_whole() -> None:
    saying = reply_script(SAYING)

    def slowly(ids: Sequence[int]) -> int | Logits:
        time.sleep(0.003)
        return saying(ids)

    with served(scripted_model(slowly)) as server:
        events = server.events()
    parts = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert len(parts) > 10
    assert "🙂" in parts
    assert not any("\ufffd" in part for part in parts)
    assert "".join(parts) == SAYING


@pytest.mark.parametrize("more", [{}, {"stop": "a"}, {"logprobs": True}, {"n": 3}], ids=str)
@pytest.mark.parametrize("seed", [1, 7, -3])
def test_a_stream_says_what_the_whole_reply_says(
    babbler: Served, seed: int, more: dict[str, Any]
) -> None:
    asked = {"seed": seed, "max_tokens": 40, "temperature": 1.5, **more}
    whole = babbler.chat(**asked).json()["choices"]
    events = babbler.events(**asked)
    for choice in whole:
        assert text_of(events, choice["index"]) == choice["message"]["content"]
        told = [c for e in events for c in e["choices"] if c["index"] == choice["index"]]
        assert told[-1]["finish_reason"] == choice["finish_reason"]
        if "logprobs" in more:
            entries = [t for c in told if c["logprobs"] for t in c["logprobs"]["content"]]
            assert entries == choice["logprobs"]["content"]


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        ("how", "Hello wörld, "),
        (["zebra", "world", "wörld"], "Hello "),
        ("H", ""),
        ("ö", "Hello w"),
        ("you? 🙂!", SAYING),
    ],
)
def test_nothing_of_a_stop_string_is_shown(talker: Served, stop: Any, left: str) -> None:
    """All of them go across tokens: the model's are single bytes."""
    assert talker.chat(stop=stop).json()["choices"][0]["message"]["content"] == left
    assert text_of(talker.events(stop=stop)) == left


def test_the_same_seed_gives_the_same_reply(babbler: Served) -> None:
    def say(seed: int | None) -> str:
        answer = babbler.chat(seed=seed, max_tokens=40, temperature=2.0)
        content: str = answer.json()["choices"][0]["message"]["content"]
        return content

    assert say(5) == say(5)
    assert len({say(5), say(6), say(None), say(None)}) == 4


def test_choices_have_the_seeds_that_follow(babbler: Served) -> None:
    asked = {"max_tokens": 30, "temperature": 2.0}
    several = babbler.chat(seed=11, n=3, **asked).json()
    alone = [babbler.chat(seed=11 + i, **asked).json()["choices"][0] for i in range(3)]
    assert [c["message"] for c in several["choices"]] == [c["message"] for c in alone]
    assert several["usage"]["completion_tokens"] == 90


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit(talker: Served, name: str) -> None:
    choice = talker.chat(**{name: 5}).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "length")


def test_null_is_absence(babbler: Served) -> None:
    document = babbler.client.get("/openapi.json").json()
    fields = document["components"]["schemas"]["ChatRequest"]["properties"]
    nothing = {name: None for name in fields if name not in ("messages", "seed", "max_tokens")}
    message = {"role": "user", "content": "Hello", "name": None, "tool_calls": None}
    asked = {"seed": 3, "max_tokens": 20}
    silent = babbler.post(CHAT, {"messages": HELLO, **asked}).json()
    outspoken = babbler.post(CHAT, {"messages": [message], **nothing, **asked}).json()
    assert outspoken["choices"] == silent["choices"]


def test_parts_of_a_content_and_developers(talker: Served) -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    asked = [{"role": "developer", "content": "Be kind"}, {"role": "user", "content": parts}]
    plain = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hel\nlo"}]
    ids = [talker.post("/tokenize", {"messages": m}).json()["tokens"] for m in (asked, plain)]
    assert ids[0] == ids[1]
    assert talker.post(CHAT, {"messages": asked}).status_code == 200


def test_a_turn_of_the_assistant_at_the_end_goes_on(talker: Served) -> None:
    begun = [*HELLO, {"role": "assistant", "content": "Hello "}]
    content = talker.post(CHAT, {"messages": begun}).json()["choices"][0]["message"]["content"]
    assert content == SAYING.removeprefix("Hello ")


# --- log-probabilities --------------------------------------------------------------------------


def log_softmax(place: int) -> np.ndarray:
    row = babble([0] * place).astype(np.float64)
    return row - np.log(np.exp(row - row.max()).sum()) - row.max()


def test_log_probabilities_are_the_models_own(babbler: Served) -> None:
    """Whatever the settings made of them: temperature, penalties, cuts and biases come after."""
    bent = {"temperature": 0.3, "top_k": 3, "presence_penalty": 2.0, "logit_bias": {"97": 5}}
    body = babbler.chat(logprobs=True, top_logprobs=20, max_tokens=12, seed=1, **bent).json()
    entries = body["choices"][0]["logprobs"]["content"]
    assert len(entries) == 12
    for number, entry in enumerate(entries):
        expected = log_softmax(body["usage"]["prompt_tokens"] + number)
        (byte,) = entry["bytes"]
        assert entry["logprob"] == pytest.approx(expected[byte], abs=1e-4)
        top = entry["top_logprobs"]
        assert [t["logprob"] for t in top] == pytest.approx(
            sorted(expected)[: -20 - 1 : -1], abs=1e-4
        )
        assert sum(math.exp(t["logprob"]) for t in top) <= 1 + 1e-6


def test_bytes_joined_are_the_text(talker: Served) -> None:
    choice = talker.chat(logprobs=True).json()["choices"][0]
    data = bytes(byte for entry in choice["logprobs"]["content"] for byte in entry["bytes"])
    assert data.decode() == choice["message"]["content"] == SAYING
    assert all(entry["top_logprobs"] == [] for entry in choice["logprobs"]["content"])


def test_an_empty_reply_has_log_probabilities_too() -> None:
    with served(scripted_model("")) as silent:
        choice = silent.chat(logprobs=True).json()["choices"][0]
        assert choice["message"]["content"] == ""
        assert choice["logprobs"] == {"content": [], "refusal": None}


# --- settings -----------------------------------------------------------------------------------


def test_a_bias_decides(babbler: Served) -> None:
    asked = {"temperature": 0, "max_tokens": 8}
    forced = babbler.chat(logit_bias={"122": 100}, **asked).json()
    assert forced["choices"][0]["message"]["content"] == "z" * 8
    free = babbler.chat(**asked).json()["choices"][0]["message"]["content"]
    banned = babbler.chat(logit_bias={str(ord(free[0])): -100}, **asked).json()
    assert banned["choices"][0]["message"]["content"][0] != free[0]


def test_penalties_are_additive_and_of_the_reply_alone() -> None:
    """As OpenAI defines them: logit - count * frequency - (count > 0) * presence."""

    def two(ids: Any) -> np.ndarray:
        row = np.full(260, -50.0, np.float32)
        row[ord("a")], row[ord("b")] = 3.0, 0.5  # a leads by 2.5
        return row

    with served(scripted_model(two)) as server:

        def say(**penalty: float) -> str:
            messages = [{"role": "user", "content": "aaaaaaaa"}]
            asked = {"messages": messages, "temperature": 0, "max_tokens": 6, **penalty}
            content: str = server.post(CHAT, asked).json()["choices"][0]["message"]["content"]
            return content

        for presence, frequency in [(0, 0), (2.0, 0), (0, 2.0), (0, 1.0), (1.0, 1.0), (0, -2.0)]:
            said = say(presence_penalty=presence, frequency_penalty=frequency)
            assert said == by_the_formula(presence, frequency)


def by_the_formula(presence: float, frequency: float) -> str:
    said = ""
    for _ in range(6):
        scores = {
            letter: logit - said.count(letter) * frequency - (letter in said) * presence
            for letter, logit in (("a", 3.0), ("b", 0.5))
        }
        said += max(scores, key=lambda letter: scores[letter])
    return said


def test_what_openai_has_not(babbler: Served) -> None:
    greedy = babbler.chat(temperature=0, max_tokens=10).json()["choices"][0]["message"]
    for setting in ({"top_k": 1}, {"min_p": 1.0}, {"top_p": 1e-6}):
        told = babbler.chat(temperature=1.0, max_tokens=10, **setting).json()
        assert told["choices"][0]["message"] == greedy, setting


def test_the_glass_box_of_every_token(babbler: Served) -> None:
    asked = {"glass": True, "max_tokens": 6, "seed": 2, "top_k": 5, "top_p": 0.9}
    order = ["top_p", "top_k", "temperature", "min_p", "typical_p", "min_new_tokens"]
    order += ["logit_bias", "repetition_penalty", "presence_penalty", "frequency_penalty"]
    order += ["no_repeat_ngram_size"]
    records = babbler.chat(**asked, stages=order).json()["choices"][0]["glass"]
    assert len(records) == 6
    for record in records:
        assert [stage["name"] for stage in record["stages"]] == ["top_p", "top_k"]
        assert 0 <= record["u"] < 1
        assert record["stages"][1]["kept"] <= 5
        assert record["bytes"] == [record["token_id"]]
    events = babbler.events(**asked, stages=order)
    told = [r for event in events for c in event["choices"] for r in c.get("glass", [])]
    assert told == records


def test_the_end_token_has_a_record_too(talker: Served) -> None:
    """It is what ended the reply, and somebody may want to know why."""
    records = talker.chat(glass=True).json()["choices"][0]["glass"]
    assert records[-1]["token"] == "<|end|>"
    assert len(records) == len(SAYING.encode()) + 1
