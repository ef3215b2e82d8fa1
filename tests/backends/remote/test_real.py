"""In front of servers that are real: glasschat, llama-server, transformers serve."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rivals import llama_server
from glasschat.backends import Capability, LocalBackend
from glasschat.backends.remote import RemoteBackend
from glasschat.engine import FinishReason, Snapshot
from glasschat.errors import PromptTooLong, RemoteError
from glasschat.models.scripted import scripted_model
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import SamplingParams
from tests.api.serving import Served, babble, served
from tests.backends.remote.conftest import Front
from tests.support.browser import free_port, stop
from tests.support.models import real_model

pytestmark = pytest.mark.slow

COUNT = [ChatMessage("user", "Count from one to twenty, in words.")]
FRANCE = [ChatMessage("user", "What is the capital of France?")]
TIMEOUT_S = 60.0


def result_of(backend: Any, messages: list[ChatMessage], **settings: Any) -> Snapshot:
    reply: Snapshot = backend.start(messages, SamplingParams(**settings)).result(TIMEOUT_S)
    return reply


# --- glasschat ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours() -> Iterator[Served]:
    with served(scripted_model(babble, context=400)) as server:
        yield server


@pytest.fixture
def remote(front: Front, ours: Served) -> RemoteBackend:
    return front(ours.url)


def test_glasschat_says_what_it_is(remote: RemoteBackend) -> None:
    about = remote.describe()
    assert (about.name, about.detail, about.context) == ("scripted", "glasschat", 400)
    # No server has stages of our own.
    assert about.not_taken == {"own_stages"}
    assert {Capability.GO_ON, Capability.LOGPROBS}.isdisjoint(about.missing)
    assert Capability.DEBUGGER in about.missing


SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"temperature": 1.5, "top_p": 1.0, "top_k": 5},
    {"temperature": 2.0, "top_p": 1.0, "min_p": 0.02, "typical_p": 0.9},
    {"repetition_penalty": 1.5, "presence_penalty": 1.0, "frequency_penalty": 0.5},
    {"no_repeat_ngram_size": 2, "temperature": 2.0},
    {"logit_bias": {97: -20.0, 32: 3.0}},
    {"stop": ("世", "zz")},
    {"stop_token_ids": (46,), "min_new_tokens": 20},
    {"stages": tuple(reversed(SamplingParams().stages)), "temperature": 1.5, "top_k": 3},
    {"seed": 2**64 - 1, "temperature": 2.0, "top_p": 1.0},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting_does_there_what_it_does_here(
    remote: RemoteBackend, ours: Served, settings: dict[str, Any]
) -> None:
    """The same seed and settings, by the wire and without it: the same reply."""
    params = {"seed": 5, "max_new_tokens": 60, **settings}
    here, far = result_of(ours.backend, COUNT, **params), result_of(remote, COUNT, **params)
    assert (far.text, far.finish_reason) == (here.text, here.finish_reason)
    assert far.usage.completion_tokens == here.usage.completion_tokens
    assert far.usage.prompt_tokens == here.usage.prompt_tokens


def test_what_it_tells_of_tokens_is_what_our_records_say(
    remote: RemoteBackend, ours: Served
) -> None:
    params = SamplingParams(seed=5, max_new_tokens=60, temperature=1.5)
    far, here = remote.start(COUNT, params), ours.backend.start(COUNT, params)
    far.result(TIMEOUT_S), here.result(TIMEOUT_S)
    steps, records = far.steps(), [step.record for step in here.steps()]
    assert len(steps) == len(records)
    assert "".join(step.text for step in steps) == here.snapshot().text
    token_bytes = ours.backend.vocabulary.token_bytes
    for step, record in zip(steps, records, strict=True):
        assert record is not None and step.chosen is not None
        assert step.chosen.data == token_bytes(record.token_id)
        assert step.chosen.logprob == pytest.approx(record.logprob, abs=1e-5)
        assert step.rank == (record.rank if record.rank < 20 else None)
        assert [c.data for c in step.top] == [token_bytes(i) for i in record.top_ids[:20]]


@pytest.mark.parametrize("cut", [1, 2, 7, 33])
def test_a_reply_that_was_cut_goes_on_where_it_was_cut(remote: RemoteBackend, cut: int) -> None:
    """At any place, within a character too: joined, the texts are that of the uncut reply."""
    settings: dict[str, Any] = {"temperature": 0.0, "repetition_penalty": 1.0}
    whole = result_of(remote, COUNT, max_new_tokens=60, **settings)
    first = result_of(remote, COUNT, max_new_tokens=cut, **settings)
    assert first.finish_reason is FinishReason.LENGTH
    begun = [*COUNT, ChatMessage("assistant", first.text)]
    # Half a character is not in the text, so that its bytes come once more.
    left = 60 - len(first.text.encode())
    rest = result_of(remote, begun, max_new_tokens=left, **settings)
    assert first.text + rest.text == whole.text


def test_tokens_are_counted_by_the_server(remote: RemoteBackend, ours: Served) -> None:
    going_on = [*COUNT, ChatMessage("assistant", "One, two")]
    for messages in ([], [ChatMessage("system", "Be brief.")], COUNT, going_on):
        assert remote.measure(messages) == ours.backend.measure(messages)
    fitted = remote.fit(COUNT, SamplingParams())
    assert fitted.counted and fitted.tokens == ours.backend.measure(COUNT)


def test_what_does_not_fit_is_refused_here_or_left_out(remote: RemoteBackend, ours: Served) -> None:
    turns = [ChatMessage("user", f"{n} " + "x" * 60) for n in range(12)]
    answers = [ChatMessage("assistant", "y" * 20) for _ in turns]
    long = [m for pair in zip(turns, answers, strict=True) for m in pair][:-1]
    with pytest.raises(PromptTooLong) as far:
        remote.start(long, SamplingParams())
    with pytest.raises(PromptTooLong) as here:
        ours.backend.start(long, SamplingParams())
    assert str(far.value) == str(here.value)
    reply = remote.start(
        long, SamplingParams(max_new_tokens=5), policy=ContextPolicy.LEAVE_OUT_OLDEST
    )
    assert reply.result(TIMEOUT_S).usage.prompt_tokens == reply.prompt.tokens <= 395
    assert reply.prompt.left_out


def test_a_model_that_is_still_loading_there_is_waited_for(front: Front) -> None:
    def load(progress: Any) -> Any:
        for step in range(10):
            progress(step / 10)
            time.sleep(0.05)
        return scripted_model("hello")

    with served(scripted_model(""), loader=load) as server:
        backend = front(server.url, load=False)
        with pytest.raises(RemoteError, match="still loading"):
            backend.load()
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                backend.load()
            except RemoteError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                break
        assert result_of(backend, COUNT).text == "hello"


# --- llama-server ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(builtin_model_path: Path) -> Iterator[str]:
    with llama_server(
        builtin_model_path, context=512, slots=2, threads=1, batch_threads=2
    ) as server:
        yield f"http://127.0.0.1:{server.port}"


def test_llama_server(front: Front, llama: str, builtin_model_path: Path) -> None:
    backend = front(llama)
    about = backend.describe()
    assert (about.name, about.detail) == (builtin_model_path.name, "llama-server")
    assert about.context == 1024, "its slots share one cache"
    assert about.slots == 2

    counted = backend.measure(COUNT)
    first = result_of(backend, COUNT, temperature=0.0, max_new_tokens=8)
    assert first.usage.prompt_tokens == counted, "its own figure is the oracle"
    assert first.finish_reason is FinishReason.LENGTH
    begun = [*COUNT, ChatMessage("assistant", first.text)]
    rest = result_of(backend, begun, temperature=0.0, max_new_tokens=8)
    assert rest.usage.prompt_tokens == backend.measure(begun) >= counted + 8
    whole = result_of(backend, COUNT, temperature=0.0, max_new_tokens=16)
    assert whole.text.startswith(first.text)
    assert rest.text[:4] == whole.text[len(first.text) :][:4], "no new header, no new turn"

    reply = backend.start(COUNT, SamplingParams(temperature=0.0, max_new_tokens=8))
    reply.result(TIMEOUT_S)
    steps = reply.steps()
    assert len(steps) == 8
    assert {step.rank for step in steps} <= {0, 1, 2} and all(len(s.top) == 20 for s in steps)
    with pytest.raises(PromptTooLong, match=r"\(context 1,024"):
        backend.start([ChatMessage("user", "so " * 2000)], SamplingParams())


def test_llama_server_does_what_is_set(front: Front, llama: str) -> None:
    """Each of these would say something else if it were passed over."""
    backend = front(llama)
    wild: dict[str, Any] = {"temperature": 50.0, "top_p": 1.0, "max_new_tokens": 8}
    plain: dict[str, Any] = {"repetition_penalty": 1.0, "max_new_tokens": 8}
    greedy = result_of(backend, FRANCE, temperature=0.0, **plain).text
    assert result_of(backend, FRANCE, **wild).text != greedy
    for mild in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}):
        assert result_of(backend, FRANCE, **{**wild, **plain, **mild}).text == greedy
    again = {result_of(backend, FRANCE, **wild, seed=7).text for _ in range(2)}
    assert len(again) == 1
    stop = greedy[5:8]
    assert result_of(backend, FRANCE, temperature=0.0, **plain, stop=(stop,)).text == greedy[:5]
    assert (
        result_of(backend, FRANCE, max_new_tokens=40, ignore_eos=True).usage.completion_tokens == 40
    )


def test_llama_server_says_what_the_same_model_says_here(
    front: Front, llama: str, builtin_model_path: Path
) -> None:
    """Two programs, one file: the same tokens, and nearly the same log-probabilities."""
    model, params = (
        real_model(builtin_model_path, slots=1, context=512),
        SamplingParams(temperature=0.0, max_new_tokens=8),
    )
    with LocalBackend(lambda _: model, name="here") as here:
        here.load()
        ours, theirs = here.start(FRANCE, params), front(llama).start(FRANCE, params)
        assert ours.result(TIMEOUT_S).text == theirs.result(TIMEOUT_S).text
        for step, token in zip(ours.steps(), theirs.steps(), strict=True):
            assert step.record is not None and token.chosen is not None
            assert token.chosen.logprob == pytest.approx(step.record.logprob, abs=0.3)


def test_llama_server_serves_the_next_after_a_stop(front: Front, llama: str) -> None:
    backend = front(llama)
    params = SamplingParams(ignore_eos=True)
    replies = [backend.start(COUNT, params) for _ in range(4)]
    for reply in replies:
        reply.cancel()
        assert reply.wait_for_end(TIMEOUT_S)
    assert result_of(backend, FRANCE, max_new_tokens=4).usage.completion_tokens == 4


# --- transformers serve ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformers_url(
    smollm2_folder_bf16: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if importlib.util.find_spec("fastapi") is None:
        pytest.fail("transformers[serving] is not installed: `make test` brings it")
    port, home = free_port(), tmp_path_factory.mktemp("hub")
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(smollm2_folder_bf16), "--port", str(port)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    process = subprocess.Popen(command, env=offline, **quiet)
    try:
        yield f"http://localhost:{port}"
    finally:
        stop(process)


def test_transformers_serve(front: Front, transformers_url: str, smollm2_folder_bf16: Path) -> None:
    backend = front(
        transformers_url, model=str(smollm2_folder_bf16), kind="transformers", load=False
    )
    backend.load_in_background()
    deadline = time.monotonic() + TIMEOUT_S
    while backend.describe().readiness != "ready":
        assert time.monotonic() < deadline, backend.describe().error
        time.sleep(0.1)
    about = backend.describe()
    assert about.name == smollm2_folder_bf16.name
    assert {Capability.LOGPROBS, Capability.GO_ON} <= about.missing

    reply = result_of(backend, FRANCE, temperature=0.0, repetition_penalty=1.0)
    assert (reply.text, reply.finish_reason) == ("The capital of France is Paris.", "stop")
    wild: dict[str, Any] = {"temperature": 50.0, "top_p": 1.0, "max_new_tokens": 6}
    assert not reply.text.startswith(result_of(backend, FRANCE, **wild).text)
    mild = result_of(backend, FRANCE, **wild, top_k=1, repetition_penalty=1.0)
    assert reply.text.startswith(mild.text)
    assert mild.finish_reason is FinishReason.LENGTH
    with pytest.raises(RemoteError, match="cannot go on"):
        result_of(backend, [*FRANCE, ChatMessage("assistant", "The")])
