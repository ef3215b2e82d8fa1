"""What is refused, how, and that it is said by name."""

from collections.abc import Sequence
from typing import Any

import pytest

from glasschat.models.scripted import reply_script, scripted_model
from tests.api.serving import (
    CHAT,
    COMPLETIONS,
    HELLO,
    Served,
    babble,
    events_in,
    served,
    wait_until,
)


def error_of(answer: Any, status: int = 400) -> dict[str, Any]:
    """The error, which has the form that OpenAI's clients read."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert error["request_id"] == answer.headers["x-request-id"]
    return error


ASKING_FOR_MORE = {
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "required",
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "audio": {"voice": "alloy", "format": "wav"},
    "modalities": ["text", "audio"],
    "prediction": {"type": "content", "content": "x"},
    "reasoning_effort": "high",
    "web_search_options": {},
    "service_tier": "flex",
    "store": True,
    "metadata": {"a": "b"},
}


@pytest.mark.parametrize("name", ASKING_FOR_MORE)
def test_what_is_not_supported_is_refused_by_name(talker: Served, name: str) -> None:
    error = error_of(talker.chat(**{name: ASKING_FOR_MORE[name]}))
    assert error["param"].partition("[")[0] == name
    assert name in error["message"] and "not supported" in error["message"]
    assert error["code"] == "unsupported_parameter"


ASKING_FOR_NOTHING = {
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "modalities": ["text"],
    "store": False,
    "metadata": {},
    "service_tier": "auto",
}


def test_what_asks_for_nothing_of_it_is_fine(talker: Served) -> None:
    """Clients write out defaults."""
    assert talker.chat(**ASKING_FOR_NOTHING).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "0.7"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a", ""]}, "stop[1]"),
        ({"logprobs": 3}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"logit_bias": {"a": 1}}, "logit_bias.a"),
        ({"logit_bias": {"260": 1}}, "logit_bias"),
        ({"stop_token_ids": [260]}, "stop_token_ids"),
        ({"stages": ["top_k"]}, "stages"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"wrong": 1}}, "stream_options.wrong"),
        ({"seed": 2**63}, "seed"),
        ({"timeout": 0}, "timeout"),
        ({"best_offer": 1}, "best_offer"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ada"}]}, "messages[0].name"),
        ({"messages": [*HELLO, {"role": "system", "content": "late"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 600}]}, "messages"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(talker: Served, fields: dict[str, Any], param: str) -> None:
    error = error_of(talker.chat(**fields))
    assert error["param"] == param
    assert param.rpartition(".")[2].partition("[")[0] in error["message"] or param == "messages"


def test_an_image_is_refused_where_it_is(talker: Served) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": "What is this?"}, image]
    error = error_of(talker.chat(messages=[{"role": "user", "content": parts}]))
    assert error["param"].startswith("messages[0].content[1]")


def test_too_long_says_both_numbers(talker: Served) -> None:
    long = [{"role": "user", "content": "x" * 600}]
    error = error_of(talker.chat(messages=long))
    assert error["code"] == "context_length_exceeded"
    assert "619" in error["message"] and "511" in error["message"]
    error = error_of(talker.post(COMPLETIONS, {"prompt": "x" * 600}))
    assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")


def test_another_model_is_not_here(talker: Served) -> None:
    error = error_of(talker.chat(model="gpt-5"), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "'scripted'" in error["message"]
    assert talker.chat(model="scripted").status_code == 200
    assert talker.client.get("/v1/models/scripted").json()["id"] == "scripted"
    error_of(talker.client.get("/v1/models/gpt-5"), 404)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"x"', b'{"messages": NaN}', b"\xff", b"null"]
)
def test_what_is_no_json(talker: Served, body: bytes) -> None:
    answer = talker.client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert error_of(answer)["code"] in ("invalid_json", "invalid_value")


def test_deep_json_does_not_end_the_server(talker: Served) -> None:
    body = b'{"messages":' + b"[" * 100_000
    answer = talker.client.post(CHAT, content=body, headers={"content-type": "application/json"})
    error_of(answer)


SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]


@pytest.mark.parametrize("kind", SIMPLE)
def test_a_form_of_some_web_page_is_no_request(talker: Served, kind: str) -> None:
    """A browser sends these to anybody, without asking: JSON it does not."""
    body = b'{"messages": [{"role": "user", "content": "x"}]}'
    headers = {"content-type": kind} if kind else {}
    assert error_of(talker.client.post(CHAT, content=body, headers=headers), 415)


def test_too_large_a_body(talker: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasschat.api.parse.MAX_BODY_BYTES", 1000)
    error_of(talker.chat(user="x" * 1000), 413)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/embeddings", "/v1/chat", "/v1/models/a/b"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_paths(talker: Served, path: str, method: str) -> None:
    answer = talker.client.request(method, path)
    assert answer.status_code in (404, 405)
    error_of(answer, answer.status_code)


def test_the_wrong_method(talker: Served) -> None:
    answer = talker.client.get(CHAT)
    error_of(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_request_id_is_kept_or_made(talker: Served) -> None:
    given = talker.client.get("/v1/nothing", headers={"x-request-id": "mine-1"})
    assert error_of(given, 404)["request_id"] == "mine-1"
    strange = talker.client.get("/v1/nothing", headers={"x-request-id": "a b\t<script>"})
    assert error_of(strange, 404)["request_id"].startswith("req-")


def breaks(ids: Sequence[int]) -> Any:
    if ids[-1] == ord("l"):
        raise RuntimeError("the script says so")
    return reply_script("Hello")(ids)


def test_a_reply_that_goes_wrong_says_so_in_its_stream() -> None:
    with served(scripted_model(breaks)) as server:
        error = error_of(server.chat(), 500)
        assert error["type"] == "server_error"
        answer = server.post(CHAT, {"messages": HELLO, "stream": True})
        assert answer.status_code == 200
        *events, last = events_in(answer.text)
        text = "".join(e["choices"][0]["delta"].get("content", "") for e in events)
        assert text == "Hel"
        assert last["error"]["code"] == "reply_failed"
        assert last["error"]["request_id"] == answer.headers["x-request-id"]
        wait_until(lambda: server.backend.stats().free_slots == 4)


def test_settings_that_leave_nothing_are_told_by_name() -> None:
    """Every token but once, from a vocabulary of 260: the 261st cannot come."""
    with served(scripted_model(babble)) as server:
        asked = {"no_repeat_ngram_size": 1, "max_tokens": 300, "ignore_eos": True}
        error = error_of(server.chat(**asked))
        assert (error["param"], error["code"]) == ("no_repeat_ngram_size", "no_token_left")
