"""Everything that a server elsewhere, or the way to it, can do wrong."""

import logging
import re
import threading
import time
from collections.abc import Callable

import pytest

from glasschat.backends import Capability, Readiness
from glasschat.backends.remote import RemoteBackend, RemoteReply
from glasschat.engine import FinishReason, StartOptions, State
from glasschat.errors import PromptTooLong, RemoteError, RemoteRefused, RemoteUnreachable
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from tests.backends.remote.conftest import SHORT_TIMEOUTS, Front
from tests.support.browser import free_port
from tests.support.fake_remote import (
    CHAT,
    Exchange,
    FakeRemote,
    Script,
    delta,
    fake_remote,
    models,
    replying,
    scripts,
    token,
)

QUESTION = [ChatMessage("user", "Why?")]
TIMEOUT_S = 20.0


def ask(backend: RemoteBackend, **settings: object) -> RemoteReply:
    return backend.start(QUESTION, SamplingParams(**settings))  # type: ignore[arg-type]


def outcome(reply: RemoteReply) -> tuple[FinishReason | None, str, str]:
    assert reply.wait_for_end(TIMEOUT_S)
    snapshot = reply.snapshot()
    return snapshot.finish_reason, snapshot.text, snapshot.error or ""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# --- nobody there ---------------------------------------------------------------------------


def test_nothing_listens(front: Front) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RemoteUnreachable, match=f"nothing answers at {url}: start that server"):
        front(url)


def test_there_is_no_such_host(front: Front) -> None:
    with pytest.raises(RemoteUnreachable, match=r"there is no host named nowhere\.invalid"):
        front("http://nowhere.invalid:8000")


def test_https_is_asked_of_a_server_that_speaks_http(front: Front) -> None:
    with fake_remote() as remote, pytest.raises(RemoteUnreachable, match="does not speak TLS"):
        front(remote.url.replace("http:", "https:"))


def test_a_server_that_does_not_answer(front: Front) -> None:
    with fake_remote() as remote:
        remote.scripts["/v1/models"] = lambda exchange: exchange.is_left(TIMEOUT_S) and None
        backend = front(remote.url, load=False)
        backend._connection.client._http.timeout = 0.3
        with pytest.raises(RemoteUnreachable, match="has not answered in time"):
            backend.load()


# --- not what it is taken for ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda e: e.answer(200, "<html>hello</html>"), "does not answer as OpenAI's interface"),
        (lambda e: e.answer(200, {"data": "no list"}), "does not answer as OpenAI's interface"),
        (lambda e: e.answer(401, {"error": {"message": "no"}}), "wants a key .401."),
        (lambda e: e.answer(503, "", retry_after="7"), "nothing at the moment.*again in 7 s"),
        (lambda e: e.answer(200, b"\x00" * (17 * 2**20)), "more than 16 MiB"),
        (models(), "names no model: give --remote-model"),
        (models("one", "two"), "has 2 models: give --remote-model one of one, two"),
        (models(*map(str, range(99))), "has 99 models: .* one of 0, 1, 2, 3, 4, 5, 6, 7, …$"),
    ],
)
def test_what_answers_is_no_server_to_talk_to(front: Front, script: Script, words: str) -> None:
    with fake_remote() as remote:
        remote.scripts["/v1/models"] = script
        with pytest.raises(RemoteRefused, match=words):
            front(remote.url)


def test_a_model_that_is_not_there_is_told_with_those_that_are(front: Front) -> None:
    with fake_remote() as remote, pytest.raises(RemoteRefused, match=r"'huge'.* one of tiny"):
        front(remote.url, model="huge")


def test_a_server_without_a_list_is_taken_at_the_users_word(front: Front) -> None:
    with fake_remote(replying("yes")) as remote:
        del remote.scripts["/v1/models"]
        assert outcome(ask(front(remote.url, model="huge")))[1] == "yes"
        assert remote.chats()[0]["model"] == "huge"


# --- refused before it began ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": {"message": "no top_p, please"}}, "no top_p, please"),
        (401, {"error": {"message": "who?"}}, "wants a key"),
        (404, {"error": {"message": "gone"}}, "does not have the model 'tiny'"),
        (429, {"error": {"message": "busy"}}, "try again in 3 s"),
        (500, "<html>", "has failed .500"),
        (503, {"error": {"message": "draining"}}, "takes nothing at the moment .503: draining"),
    ],
)
def test_what_is_refused_at_once_was_never_begun(
    front: Front, status: int, body: object, words: str
) -> None:
    """The page gives the question back; nothing is stored."""
    script: Script = lambda e: e.answer(status, body, retry_after="3")  # noqa: E731
    with fake_remote(script) as remote, pytest.raises(RemoteRefused, match=words):
        ask(front(remote.url))


def test_a_prompt_that_the_server_finds_too_long(front: Front) -> None:
    error = {"code": "context_length_exceeded", "n_prompt_tokens": 900, "n_ctx": 512}
    script: Script = lambda e: e.answer(400, {"error": {"message": "no", **error}})  # noqa: E731
    with fake_remote(script) as remote, pytest.raises(PromptTooLong, match="is 900 tokens"):
        ask(front(remote.url))


def test_a_late_refusal_is_a_reply_that_failed(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasschat.backends.remote.backend.REFUSAL_WAIT_S", 0.05)
    answer = threading.Event()

    def script(exchange: Exchange) -> None:
        answer.wait(TIMEOUT_S)
        exchange.answer(500, {"error": {"message": "no memory"}})

    with fake_remote(script) as remote:
        reply = ask(front(remote.url))
        answer.set()
        reason, text, error = outcome(reply)
    assert (reason, text) == (FinishReason.ERROR, "")
    assert "has failed (500: no memory)" in error


def test_a_redirect_is_not_followed_with_the_key(front: Front) -> None:
    with fake_remote(replying("stolen")) as other, fake_remote() as remote:
        remote.scripts[CHAT] = lambda e: e.answer(307, "", location=other.url + CHAT)
        with pytest.raises(RemoteRefused, match="answers with 307 and no reply"):
            ask(front(remote.url, key="secret-key"))
    assert other.chats() == []


# --- in the middle --------------------------------------------------------------------------


def begins(then: Callable[[Exchange], None]) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.say("The sky ", "is")
        then(exchange)

    return script


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (lambda e: None, "broke off in the middle of the reply"),
        (lambda e: e.break_off(), "broke off in the middle of the reply"),
        (lambda e: e.send(b'data: {"choices": [{"del'), "broke off in the middle of the reply"),
        (lambda e: e.is_left(TIMEOUT_S) and None, "has sent nothing more for 0.5 s"),
        (lambda e: e.event("{no json"), "an event that is no JSON object"),
        (lambda e: e.event({"error": {"message": "no memory"}}), "has failed .500: no memory"),
        (lambda e: e.event({"error": "no memory"}), "has failed .500: no memory"),
        (lambda e: e.event({"error": {"message": "end", "code": 503}}), "at the moment .503: end"),
        (lambda e: e.end("content_filter"), "has filtered the rest"),
        (lambda e: e.end("tool_calls"), "wants to call a tool"),
        (lambda e: e.end("abort"), "for a reason of its own: 'abort'"),
    ],
)
def test_what_came_is_kept_and_the_reason_told(
    front: Front, then: Callable[[Exchange], None], words: str
) -> None:
    with fake_remote(begins(then)) as remote:
        reply = ask(front(remote.url, timeouts=SHORT_TIMEOUTS))
        reason, text, error = outcome(reply)
    assert (reason, text) == (FinishReason.ERROR, "The sky is")
    assert re.search(words, error)
    assert "\n" not in error


def test_silence_before_the_first_token_has_its_own_limit(front: Front) -> None:
    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.is_left(TIMEOUT_S)

    with fake_remote(script) as remote:
        reason, text, error = outcome(ask(front(remote.url, timeouts=SHORT_TIMEOUTS)))
    assert (reason, text) == (FinishReason.ERROR, "")
    assert "has sent nothing for 0.5 s" in error


def test_signs_of_life_are_no_silence(front: Front) -> None:
    def script(exchange: Exchange) -> None:
        exchange.begin()
        for _ in range(8):
            exchange.send(b": waiting\n\n")
            time.sleep(0.1)
        exchange.say("yes")
        exchange.end()

    with fake_remote(script) as remote:
        assert outcome(ask(front(remote.url, timeouts=SHORT_TIMEOUTS)))[1] == "yes"


# --- ends that are proper, in other servers' ways -------------------------------------------


@pytest.mark.parametrize(
    "then",
    [
        lambda e: e.event({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
        lambda e: e.event("[DONE]"),
        lambda e: (e.event({"choices": [{"delta": {}, "finish_reason": "stop"}]}), e.break_off()),
    ],
    ids=["no [DONE]", "no reason", "reset behind the reason"],
)
def test_a_reply_that_was_complete_is(front: Front, then: Callable[[Exchange], None]) -> None:
    with fake_remote(begins(then)) as remote:
        assert outcome(ask(front(remote.url))) == (FinishReason.STOP, "The sky is", "")


def test_a_server_that_does_not_stream(front: Front) -> None:
    body = {
        "choices": [
            {"index": 0, "message": {"content": "Because."}, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2},
    }
    with fake_remote(lambda e: e.answer(200, body, content_type="application/json")) as remote:
        reply = ask(front(remote.url))
        assert outcome(reply) == (FinishReason.LENGTH, "Because.", "")
    assert reply.snapshot().usage.prompt_tokens == 9


def test_a_page_instead_of_a_reply(front: Front) -> None:
    script: Script = lambda e: e.answer(200, "<html>Sign in</html>", content_type="text/html")  # noqa: E731
    with fake_remote(script) as remote:
        reason, _, error = outcome(ask(front(remote.url)))
    assert reason is FinishReason.ERROR
    assert "no JSON object" in error


# --- cancelled ------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["before the answer", "before the first token", "in the middle"])
def test_cancel_closes_the_connection_at_once(
    front: Front, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasschat.backends.remote.backend.REFUSAL_WAIT_S", 0.05)
    came, left = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        if phase != "before the answer":
            exchange.begin()
        if phase == "in the middle":
            exchange.say("The sky")
        came.set()
        if exchange.is_left(TIMEOUT_S):
            left.set()

    with fake_remote(script) as remote:
        reply = ask(front(remote.url))
        assert came.wait(TIMEOUT_S)
        if phase == "in the middle":
            until(lambda: reply.snapshot().state is State.RUNNING)
        reply.cancel()
        assert left.wait(2.0), "the server writes on for nobody"
        reason, text, error = outcome(reply)
    assert (reason, error) == (FinishReason.CANCELLED, "")
    assert text == ("The sky" if phase == "in the middle" else "")


def test_closing_ends_every_reply(front: Front) -> None:
    with fake_remote(begins(lambda e: e.is_left(TIMEOUT_S) and None)) as remote:
        backend = front(remote.url)
        replies = [ask(backend) for _ in range(3)]
        for reply in replies:
            until(lambda reply=reply: reply.snapshot().text == "The sky is")  # type: ignore[misc]
        backend.close()
        assert {outcome(reply)[0] for reply in replies} == {FinishReason.CANCELLED}


# --- less than was asked for ----------------------------------------------------------------


def test_log_probabilities_are_asked_for_until_they_are_refused(front: Front) -> None:
    """What was refused once is not asked again, and the page is told what is missing."""
    no: Script = lambda e: e.answer(400, {"error": {"message": "no logprobs here"}})  # noqa: E731
    with fake_remote(scripts(no, no, no, replying("yes"))) as remote:
        backend = front(remote.url)
        assert Capability.LOGPROBS not in backend.describe().missing
        assert outcome(ask(backend))[1] == "yes"
        assert outcome(ask(backend))[1] == "yes"
        tops = [body.get("top_logprobs", body.get("logprobs")) for body in remote.chats()]
        assert tops == [20, 5, True, None, None]
        assert Capability.LOGPROBS in backend.describe().missing


def test_a_server_that_knows_no_stream_options(front: Front) -> None:
    no: Script = lambda e: e.answer(422, {"detail": "unexpected: {'stream_options'}"})  # noqa: E731
    with fake_remote(scripts(no, replying("yes"))) as remote:
        backend = front(remote.url)
        assert outcome(ask(backend))[1] == "yes"
        assert ["stream_options" in body for body in remote.chats()] == [True, False]


def test_a_server_that_wants_the_other_name_of_the_limit(front: Front) -> None:
    said = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    no: Script = lambda e: e.answer(400, {"error": {"message": said}})  # noqa: E731
    with fake_remote(scripts(no, replying("yes"))) as remote:
        assert outcome(ask(front(remote.url), max_new_tokens=7))[1] == "yes"
        assert [body.get("max_completion_tokens") for body in remote.chats()] == [None, 7]
        assert "max_tokens" not in remote.chats()[1]


def test_what_is_told_of_tokens_is_kept(front: Front) -> None:
    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.event(delta("Hi", token("Hi", -0.5, ("Hi", -0.5), ("Yo", -1.5))))
        exchange.event(delta(" you.", token(" you", -3.0, (" there", -0.1)), token(".", -0.2)))
        exchange.end(prompt_tokens=4, completion_tokens=3)

    with fake_remote(script) as remote:
        reply = ask(front(remote.url))
        outcome(reply)
    hi, you, dot = reply.steps()
    assert [step.text for step in (hi, you, dot)] == ["Hi", " you", "."]
    assert [c.written for c in hi.top] == ["Hi", "Yo"]
    assert (hi.rank, you.rank, dot.rank) == (0, None, None)
    assert hi.unlisted_probability == pytest.approx(1 - 0.60653 - 0.22313, abs=1e-4)
    assert reply.snapshot().usage.completion_tokens == 3


# --- lost and found -------------------------------------------------------------------------


def test_a_server_that_comes_up_later_is_found_by_itself(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasschat.backends.remote.connection.FIRST_PAUSE_S", 0.05)
    port = free_port()
    backend = front(f"http://127.0.0.1:{port}", load=False, model="tiny")
    backend.load_in_background()
    until(lambda: "nothing answers" in (backend.describe().error or ""))
    assert backend.describe().readiness is Readiness.LOADING
    with pytest.raises(RemoteError, match="nothing answers"):
        ask(backend)
    with fake_remote(replying("here"), port=port):
        until(lambda: backend.describe().readiness is Readiness.READY)
        assert backend.describe().error is None
        assert outcome(ask(backend))[1] == "here"


def test_a_server_that_was_lost_is_found_again(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the page says so; what it has stays to be read."""
    monkeypatch.setattr("glasschat.backends.remote.connection.FIRST_PAUSE_S", 0.05)
    port = free_port()
    backend = front(f"http://127.0.0.1:{port}", load=False)
    backend.load_in_background()
    with fake_remote(begins(lambda e: e.break_off()), port=port, max_model_len=100):
        until(lambda: backend.describe().readiness is Readiness.READY)
        reply = ask(backend)
        assert outcome(reply)[:2] == (FinishReason.ERROR, "The sky is")
        assert backend.describe().context == 100
    with pytest.raises(RemoteUnreachable):
        ask(backend)
    until(lambda: backend.describe().error is not None)
    assert backend.describe().readiness is Readiness.READY
    with fake_remote(replying("back"), port=port, max_model_len=200):
        until(lambda: backend.describe().error is None)
        assert backend.describe().context == 200
        assert outcome(ask(backend))[1] == "back"


def test_a_server_that_cannot_go_on_says_so(front: Front) -> None:
    with fake_remote(replying("yes")) as remote:
        backend = front(remote.url)
        assert Capability.GO_ON in backend.describe().missing
        with pytest.raises(RemoteRefused, match=r"cannot go on .* --remote-kind"):
            backend.start([*QUESTION, ChatMessage("assistant", "Beca")], SamplingParams())
        assert remote.chats() == []


@pytest.mark.parametrize(
    ("start_options", "words"),
    [
        (StartOptions(paused=True), "cannot pause"),
        (StartOptions(forced=(5,)), "cannot take tokens"),
    ],
)
def test_what_no_server_can_is_refused_by_name(
    front: Front, start_options: StartOptions, words: str
) -> None:
    with fake_remote(replying("yes")) as remote, pytest.raises(RemoteRefused, match=words):
        front(remote.url).start(QUESTION, SamplingParams(), start_options=start_options)


# --- the key --------------------------------------------------------------------------------


def test_the_key_goes_to_the_server_and_nowhere_else(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    def echoing(exchange: Exchange) -> None:
        key = exchange.asked.headers["authorization"]
        exchange.answer(401, {"error": {"message": f"wrong: {key}"}})

    caplog.set_level(logging.DEBUG)
    with fake_remote(echoing) as remote:
        backend = front(remote.url, key="sk-very-secret")
        with pytest.raises(RemoteRefused) as caught:
            ask(backend)
        seen = [request.headers.get("authorization") for request in remote.asked]
        assert seen == ["Bearer sk-very-secret"] * 2
        shown = f"{caught.value} {backend.describe()} {backend._options} {caplog.text}"
    assert "does not accept the key" in shown
    assert "very-secret" not in shown


def test_no_key_no_header(front: Front) -> None:
    remote: FakeRemote
    with fake_remote() as remote:
        front(remote.url)
        assert "authorization" not in remote.asked[0].headers
