"""The parts that touch no network: addresses, events, chunks, requests, counts."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.backends.remote import DIALECTS, Address, RemoteOptions
from glasschat.backends.remote.errors import Refusal
from glasschat.backends.remote.reply import RemotePrompt, RemoteReply, split_into_steps
from glasschat.backends.remote.request import AcceptedFields, effective_params, request_body
from glasschat.backends.remote.sse import (
    MAX_EVENT_BYTES,
    Chunk,
    EventReader,
    TokenLogprobs,
    read_chunk,
)
from glasschat.backends.remote.token_counts import RemoteFitter, TokenCounts
from glasschat.engine import FinishReason
from glasschat.errors import (
    GlasschatError,
    ParameterError,
    PromptTooLong,
    RemoteRefused,
    ServerError,
)
from glasschat.glass import RemoteCandidate
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import SamplingParams
from tests.support.examples import examples

HERE = Address.parse("http://127.0.0.1:8000")
QUESTION = [ChatMessage("user", "Why?")]


# --- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("https://api.example/openai/v1/", "https://api.example/openai/v1"),
        ("https://API.Example", "https://api.example/v1"),
        ("http://[::1]:80/api/v3", "http://[::1]:80/api/v3"),
    ],
)
def test_an_address_is_that_of_openais_interface(text: str, base: str) -> None:
    assert Address.parse(text).base == base


def test_a_servers_own_paths_lie_beside_that_interface() -> None:
    assert HERE.beside("/tokenize") == "http://127.0.0.1:8000/tokenize"
    assert HERE.path("/models") == "http://127.0.0.1:8000/v1/models"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8000",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http://host:99999",
        "http://ho st",
        "http://host/v1?key=1",
        "http://host/#v1",
        "http://host\n.example",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ServerError, match=r"^--remote is an http or https address"):
        Address.parse(text)


def test_a_key_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ServerError, match="--remote-key-file") as caught:
        Address.parse("https://me:hunter2@api.example/v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two words", "a\nb: c", "schlüssel", "x" * 9000])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ServerError) as caught:
        RemoteOptions(address=HERE, key=key)
    assert not key or key not in str(caught.value)


def test_a_key_is_not_in_the_options_text() -> None:
    assert "hunter2" not in repr(RemoteOptions(address=HERE, key="hunter2"))


# --- events ---------------------------------------------------------------------------------


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(1, 9), max_size=40),
)
def test_events_are_the_same_however_the_network_cuts_them(
    texts: list[str], end: str, cuts: list[int]
) -> None:
    stream = "".join(f": alive{end}{end}data: {text}{end}id: 7{end}{end}" for text in texts)
    data, reader, found = stream.encode(), EventReader(), []
    for cut in cuts:
        found += reader.push(data[:cut])
        data = data[cut:]
    found += reader.push(data)
    # What an event of no data is: a keep-alive, no event.
    assert found == texts


def test_lines_of_one_event_are_joined() -> None:
    assert EventReader().push(b'data: {"a":\ndata: 1}\n\n') == ['{"a":\n1}']


def test_an_endless_event_is_refused() -> None:
    reader = EventReader()
    with pytest.raises(RemoteRefused, match="more than 2 MiB"):
        for _ in range(MAX_EVENT_BYTES // 2**16 + 1):
            reader.push(b"x" * 2**16)


# --- chunks ---------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=examples(50))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "choices": _JSON
            | st.lists(
                st.fixed_dictionaries(
                    {"delta": _JSON},
                    optional={
                        "finish_reason": _JSON,
                        "logprobs": st.fixed_dictionaries({"content": _JSON}),
                    },
                )
            ),
            "usage": _JSON,
            "error": _JSON,
            "prompt_progress": _JSON,
        },
    )
)
def test_no_json_object_of_a_stranger_does_harm(event: dict[str, Any]) -> None:
    assert isinstance(read_chunk(json.dumps(event)), Chunk)


@pytest.mark.parametrize("data", ["", "null", "[1]", "{", "<html>", "1e999", "[" * 100_000])
def test_what_is_no_json_object_is_refused(data: str) -> None:
    with pytest.raises(RemoteRefused, match="no JSON object"):
        read_chunk(data)


def token(text: str) -> TokenLogprobs:
    return TokenLogprobs(RemoteCandidate(text, text.encode(), -1.0), ())


def test_a_piece_of_text_is_told_apart_into_its_tokens() -> None:
    steps = split_into_steps("Hello, you", [token("Hello"), token(","), token(" you")])
    assert [step.text for step in steps] == ["Hello", ",", " you"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 20)))
def test_tokens_release_the_whole_text_wherever_they_cut_it(text: str, cuts: list[int]) -> None:
    """A character may lie across tokens, and a server may tell of tokens that say nothing."""
    data, tokens = text.encode(), []
    for cut in cuts:
        piece, data = data[:cut], data[cut:]
        tokens.append(TokenLogprobs(RemoteCandidate(repr(piece), piece, -1.0), ()))
    tokens.append(TokenLogprobs(RemoteCandidate("<end>", b"<end>", -1.0), ()))
    steps = split_into_steps(text, tokens)
    assert "".join(step.text for step in steps) == text
    assert len(steps) == len(tokens)


def reply_of(*texts: str) -> RemoteReply:
    reply = RemoteReply(RemotePrompt(3), lambda: None)
    for text in texts:
        reply.writer.receive(Chunk(text=text))
    reply.writer.finish(FinishReason.STOP)
    return reply


def test_halves_of_a_character_become_one() -> None:
    """JSON writes it as two escapes, and a server may send each in an event of its own."""
    reply = reply_of("a\ud83d", "\ude42b")
    assert reply.message().text == "a🙂b"
    assert "".join(step.text for step in reply.steps()) == "a🙂b"


@pytest.mark.parametrize(("texts", "whole"), [(("\ud83d",), "�"), (("\ude42", "x"), "�x")])
def test_a_half_that_stays_alone_is_replaced(texts: tuple[str, ...], whole: str) -> None:
    assert reply_of(*texts).message().text == whole


def test_thoughts_stand_before_the_answer_as_the_model_wrote_them() -> None:
    reply = RemoteReply(RemotePrompt(3), lambda: None)
    for chunk in (Chunk(thought="Let me"), Chunk(thought=" see."), Chunk(text="It is 4.")):
        reply.writer.receive(chunk)
    assert reply.snapshot().text == "<think>\nLet me see.\n</think>\n\nIt is 4."


def test_thoughts_that_go_on_are_not_opened_twice() -> None:
    reply = RemoteReply(RemotePrompt(3), lambda: None, earlier="<think>\nLet me")
    reply.writer.receive(Chunk(thought=" see."))
    reply.writer.receive(Chunk(text="4"))
    assert reply.snapshot().text == " see.\n</think>\n\n4"


# --- requests -------------------------------------------------------------------------------


def body_of(
    kind: str,
    messages: list[ChatMessage] | None = None,
    accepted_fields: AcceptedFields | None = None,
    **params: Any,
) -> dict[str, Any]:
    dialect = DIALECTS[kind]
    return request_body(
        messages or QUESTION,
        effective_params(SamplingParams(**params), dialect),
        dialect,
        accepted_fields or AcceptedFields(),
        model="tiny",
        limit=100,
        context=4096,
    )


_STRANGE = {
    "top_k": 40,
    "min_p": 0.1,
    "typical_p": 0.9,
    "top_n_sigma": 1.5,
    "xtc_probability": 0.5,
    "xtc_threshold": 0.2,
    "dynatemp_range": 0.5,
    "dynatemp_exponent": 2.0,
    "dry_multiplier": 0.8,
    "repetition_penalty": 1.3,
    "no_repeat_ngram_size": 3,
    "min_new_tokens": 5,
    "ignore_eos": True,
    "stop_token_ids": (7,),
}


@pytest.mark.parametrize("kind", DIALECTS)
def test_a_setting_is_sent_or_named_as_not_taken(kind: str) -> None:
    """Whatever is asked for is one or the other: nothing is dropped in silence."""
    params = {**_STRANGE, "presence_penalty": 0.5, "frequency_penalty": -0.5, "seed": 7}
    params |= {"stop": ("END",), "logit_bias": {5: -10.0}, "temperature": 0.3, "top_p": 0.6}
    dialect, sent = DIALECTS[kind], json.dumps(body_of(kind, **params))
    plain = json.dumps(body_of(kind))
    for name in params:
        alone = {key: value for key, value in params.items() if key != name}
        matters = json.dumps(body_of(kind, **alone)) != sent
        assert matters is (name not in dialect.not_taken), name
    assert plain != sent


def test_servers_with_defaults_of_their_own_are_told_what_is_off() -> None:
    """llama-server would take the 40 likeliest and min-p 0.05, vLLM what the model's makers say."""
    llama, vllm = body_of("llama-server", repetition_penalty=1.0), body_of("vllm")
    assert (llama["top_k"], llama["min_p"], llama["repeat_penalty"]) == (0, 0.0, 1.0)
    # Versions before the check for 0 would keep the likeliest token alone.
    assert llama["top_n_sigma"] == -1.0
    assert (vllm["top_k"], vllm["min_p"], vllm["repetition_penalty"]) == (-1, 0.0, 1.005)


def test_stages_keep_their_order_at_llama_server_and_its_penalties_reach_back_as_ours() -> None:
    body = body_of("llama-server")
    first = ["penalties", "dry", "temperature", "top_n_sigma"]
    assert body["samplers"] == [*first, "top_k", "top_p", "min_p", "typ_p", "xtc"]
    assert body["repeat_last_n"] == body["dry_penalty_last_n"] == 4096


def test_openai_gets_no_field_that_it_does_not_know() -> None:
    """Its own document of the interface has these and no others of ours."""
    known = {"model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens"}
    known |= {"logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "seed", "stop"}
    params = {**_STRANGE, "presence_penalty": 0.5, "frequency_penalty": -0.5, "seed": 7}
    assert body_of("openai", **params, stop=("x",)).keys() == known


@pytest.mark.parametrize(
    ("kind", "seed", "sent"),
    [
        ("vllm", 2**63 - 1, 2**63 - 1),
        ("glasschat", 2**64 - 1, -1),
        ("llama-server", 2**32 - 2, 2**32 - 2),
    ],
)
def test_seeds(kind: str, seed: int, sent: int) -> None:
    assert body_of(kind, seed=seed)["seed"] == sent


@pytest.mark.parametrize(("kind", "seed"), [("vllm", 2**63), ("llama-server", 2**32 - 1)])
def test_a_seed_that_the_server_has_no_room_for_is_refused(kind: str, seed: int) -> None:
    """llama-server ends with one of 64 bits, and takes any for the greatest of 32."""
    with pytest.raises(ParameterError, match="seed must be at most"):
        body_of(kind, seed=seed)


def test_a_bias_that_servers_would_cut_is_refused() -> None:
    with pytest.raises(ParameterError, match="logit_bias must be between -100 and 100"):
        body_of("vllm", logit_bias={1: 1000.0})


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("vllm", {"add_generation_prompt": False, "continue_final_message": True}),
        ("llama-server", {"add_generation_prompt": False, "continue_final_message": True}),
        ("glasschat", {}),
    ],
)
def test_a_reply_that_goes_on_is_asked_for_in_the_servers_way(
    kind: str, fields: dict[str, Any]
) -> None:
    going_on = [*QUESTION, ChatMessage("assistant", "Because")]
    new, on = body_of(kind), body_of(kind, going_on)
    assert {name: on[name] for name in on.keys() - new.keys()} == fields
    assert on["messages"][-1] == {"role": "assistant", "content": "Because"}


def test_less_is_asked_for_of_a_server_that_refuses_more() -> None:
    accepted_fields: AcceptedFields | None = AcceptedFields()
    requests = []
    while accepted_fields is not None:
        requests.append(accepted_fields.top_logprobs)
        accepted_fields = accepted_fields.without(
            "Requested logprobs of 20, which is greater than max allowed: 5"
        )
    assert requests == [20, 5, 0, None]
    assert AcceptedFields().without("temperature must be lower") is None


# --- refusals -------------------------------------------------------------------------------


def refusal(status: int, body: Any, secret: str | None = None, **headers: str) -> GlasschatError:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    read = Refusal.read(status, named, data, secret=secret)
    return read.error(HERE, "tiny", has_key=secret is not None)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": {"message": "no"}}, "wants a key .401.: give it with --remote-key-file"),
        (
            404,
            {"detail": "Not Found"},
            "does not have the model 'tiny', or no chat.*404: Not Found",
        ),
        (429, {"error": {"message": "busy"}}, "too much to do .429: busy.: try again in a moment"),
        (500, "<html>Oops</html>", "has failed .500: it does not say why.: its log"),
        (400, {"error": "top_k is odd"}, "refuses what was asked of it .400: top_k is odd"),
        (422, {"detail": [{"loc": ["top_k"], "msg": "odd"}]}, '422: .{"loc": ."top_k".'),
        (302, "", "answers with 302 and no reply"),
    ],
)
def test_a_refusal_is_one_line_with_a_way_out(status: int, body: Any, words: str) -> None:
    error = refusal(status, body)
    assert isinstance(error, RemoteRefused)
    assert "\n" not in str(error)
    assert re.search(words, str(error))


def test_how_long_to_wait_is_said() -> None:
    assert "try again in 12 s" in str(refusal(429, {}, retry_after="12"))


def test_a_key_that_a_server_repeats_is_taken_out() -> None:
    error = refusal(401, {"error": {"message": "bad key sk-secret"}}, "sk-secret")
    assert "sk-secret" not in str(error)
    assert "does not accept the key (401: bad key …)" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {
            "error": {
                "message": "request (3005 tokens) exceeds the available context size (2048 tokens)",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 3005,
                "n_ctx": 2048,
            }
        },
    ],
)
def test_a_prompt_that_the_server_counts_as_too_long_is_too_long_as_ours(body: Any) -> None:
    error = refusal(400, body)
    assert isinstance(error, PromptTooLong)
    assert (error.needed, error.limit) == (3005, 2048)


def test_a_context_that_is_named_in_words_is_understood_too() -> None:
    text = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"
    assert "too long for http://127.0.0.1:8000" in str(refusal(400, {"error": {"message": text}}))


def test_what_a_server_says_cannot_fill_the_page_or_steer_a_terminal() -> None:
    text = str(refusal(500, {"error": {"message": "\x1b[2J" + "x" * 5000 + "\n\nmore"}}))
    assert text.isprintable()
    assert len(text) < 500


# --- counting and fitting -------------------------------------------------------------------


def turns(count: int, size: int = 400) -> list[ChatMessage]:
    questions = [ChatMessage("user", f"question {n} " + "q" * size) for n in range(count)]
    answers = [ChatMessage("assistant", f"answer {n} " + "a" * size) for n in range(count)]
    return [m for pair in zip(questions, answers, strict=True) for m in pair][:-1]


def a_byte_a_token(messages: Any) -> int:
    return sum(len(message.text) + 4 for message in messages) + 3


def test_what_was_counted_is_not_asked_again() -> None:
    requests = []
    counts = TokenCounts(lambda messages: requests.append(messages) or a_byte_a_token(messages))
    assert {counts.of(QUESTION).tokens for _ in range(3)} == {a_byte_a_token(QUESTION)}
    assert len(requests) == 1


def test_a_server_that_does_not_count_is_left_in_peace() -> None:
    requests: list[Any] = []
    counts = TokenCounts(lambda messages: requests.append(messages))
    first, second = counts.of(QUESTION), counts.of(turns(3))
    assert not first.counted and not second.counted
    assert second.tokens > first.tokens > 0
    assert len(requests) == 1


def test_an_estimate_builds_on_what_replies_have_told() -> None:
    counts = TokenCounts(lambda _: None)
    before = counts.of(turns(2)).tokens
    counts.learn(turns(1), 123, "answer 0 " + "a" * 400, 200)
    assert counts.of(turns(1)) == type(counts.of(turns(1)))(123, True)
    after = counts.of(turns(2)).tokens
    assert 323 < after < 323 + 409 and after != before


def test_a_counted_prompt_that_is_too_long_is_refused_with_both_numbers() -> None:
    messages = turns(4)
    fitter = RemoteFitter(TokenCounts(a_byte_a_token), 1000)
    with pytest.raises(PromptTooLong) as caught:
        fitter.fit(messages, SamplingParams(), ContextPolicy.REFUSE)
    assert (caught.value.needed, caught.value.limit) == (a_byte_a_token(messages), 1000)


def test_an_estimate_does_not_decide_about_the_servers_context() -> None:
    fitter = RemoteFitter(TokenCounts(lambda _: None), 300)
    messages, prompt = fitter.fit(turns(4), SamplingParams(), ContextPolicy.REFUSE)
    assert len(messages) == 7 and not prompt.counted
    assert fitter.room(prompt, SamplingParams()) == 1
    with pytest.raises(PromptTooLong):
        fitter.fit(turns(4), SamplingParams(max_length=300), ContextPolicy.REFUSE)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("system", [True, False])
def test_the_oldest_turns_are_left_out_whole(counts: bool, system: bool) -> None:
    messages = turns(9)
    if system:
        messages.insert(0, ChatMessage("system", "Be brief."))
    ask = a_byte_a_token if counts else lambda _: None
    fitter = RemoteFitter(TokenCounts(ask), 0)
    limit = 3000 if counts else 1000
    kept, prompt = fitter.fit(
        messages, SamplingParams(max_length=limit), ContextPolicy.LEAVE_OUT_OLDEST
    )
    out = prompt.left_out
    assert out and out == tuple(range(out[0], out[-1] + 1))
    assert out[0] == int(system) and len(out) % 2 == 0, "whole turns, and never the system prompt"
    assert kept == [m for n, m in enumerate(messages) if n not in out]
    assert kept[-1] == messages[-1]
    assert prompt.tokens <= limit * 3 // 4
    assert prompt.counted is counts
