"""A backend that says what it is doing, and gives back what it took."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from glasschat.backends import LocalBackend, Readiness
from glasschat.config import ModelOptions
from glasschat.errors import (
    EngineStopped,
    InvalidModel,
    ParameterError,
    PromptError,
    PromptTooLong,
    ReplyFailed,
    TemplateError,
)
from glasschat.models.base import Model
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import (
    END,
    HEADER_END,
    ScriptedRunner,
    ScriptedTokenizer,
    scripted_model,
)
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import SamplingParams

HELLO = [ChatMessage("user", "Hello")]
GREEDY = SamplingParams(temperature=0.0)


def backend_of(model: Model) -> LocalBackend:
    return LocalBackend(lambda _progress: model, name="a model")


def runner_of(model: Model) -> ScriptedRunner:
    assert isinstance(model.runner, ScriptedRunner)
    return model.runner


def test_loading_is_described_and_then_the_model() -> None:
    seen = []

    def load(progress: Callable[[float], None]) -> Model:
        progress(0.25)
        seen.append(backend.describe())
        return scripted_model("Hi!", slots=2, context=128)

    with LocalBackend(load, name="a model") as backend:
        assert backend.describe().readiness is Readiness.LOADING
        backend.load_in_background().join(10)
        assert (seen[0].readiness, seen[0].progress) == (Readiness.LOADING, 0.25)
        ready = backend.describe()
        assert (ready.readiness, ready.context, ready.slots) == (Readiness.READY, 128, 2)
        assert backend.start(HELLO, GREEDY).result(10).text == "Hi!"


def test_a_reply_cannot_be_asked_for_before_the_model_is_there() -> None:
    backend = backend_of(scripted_model("Hi!"))
    with pytest.raises(EngineStopped, match="still loading"):
        backend.start(HELLO, GREEDY)


def test_a_failed_load_is_described_with_its_reason() -> None:
    def load(_progress: Callable[[float], None]) -> Model:
        raise InvalidModel("model.gguf is cut off")

    backend = LocalBackend(load, name="a model")
    backend.load_in_background().join(10)
    assert backend.describe().readiness is Readiness.FAILED
    assert backend.describe().error == "model.gguf is cut off"
    with pytest.raises(EngineStopped, match="cut off"):
        backend.start(HELLO, GREEDY)


def test_a_model_without_a_usable_template_is_given_back() -> None:
    """The failure is the user's to read; the memory is not theirs to lose."""

    class NoTemplate(ScriptedTokenizer):
        template_source = "{% for %}"

    model = replace(scripted_model("Hi!"), tokenizer=NoTemplate())
    backend = backend_of(model)
    with pytest.raises(TemplateError):
        backend.load()
    assert backend.describe().readiness is Readiness.FAILED
    assert runner_of(model).closed


def test_closing_while_loading_gives_the_model_back() -> None:
    go_on = threading.Event()
    model = scripted_model("Hi!")

    def load(_progress: Callable[[float], None]) -> Model:
        assert go_on.wait(10)
        return model

    backend = LocalBackend(load, name="a model")
    thread = backend.load_in_background()
    threading.Timer(0.2, go_on.set).start()
    backend.close()
    assert not thread.is_alive(), "nobody would wait for it any more"
    assert runner_of(model).closed
    with pytest.raises(EngineStopped):
        backend.start(HELLO, GREEDY)


def test_closing_breaks_off_a_load_that_tells_its_progress() -> None:
    begun = threading.Event()

    def load(progress: Callable[[float], None]) -> Model:
        for share in range(10_000):
            progress(share / 10_000)
            begun.set()
            time.sleep(0.01)
        raise AssertionError("nobody broke it off")

    backend = LocalBackend(load, name="a model")
    backend.load_in_background()
    assert begun.wait(10)
    started = time.monotonic()
    backend.close()
    assert time.monotonic() - started < 5


def test_a_message_after_the_end_is_refused_and_not_a_crash(builtin_model_path: Path) -> None:
    """The vocabulary is llama.cpp's memory: reading it after it was freed ends the process."""
    plan = plan_model(ModelOptions(path=builtin_model_path, slots=1, context=256))
    backend = LocalBackend(lambda progress: load_model(plan, progress), name="real")
    backend.load()
    backend.engine._scheduler.schedule = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ReplyFailed, match="division"):
        backend.start(HELLO, GREEDY).result(30)
    backend.close()
    with pytest.raises(EngineStopped, match="closed"):
        backend.start(HELLO, GREEDY)


def test_what_cannot_become_a_prompt_leaves_the_engine_as_it_was() -> None:
    with backend_of(scripted_model("Hi!", context=64)) as backend:
        backend.load()
        with pytest.raises(PromptTooLong):
            backend.start([ChatMessage("user", "word " * 100)], GREEDY)
        with pytest.raises(PromptError):
            backend.start([], GREEDY)
        assert backend.stats().waiting == backend.stats().running == 0
        assert backend.start(HELLO, GREEDY).result(10).text == "Hi!"


def test_a_reply_ends_where_the_template_ends_a_turn_whatever_the_files_say() -> None:
    class Forgetful(ScriptedTokenizer):
        end_ids = frozenset()

    def says_on_and_on(ids: Sequence[int]) -> int:
        start = len(ids) - 1 - list(ids)[::-1].index(HEADER_END)
        return [*b"Hi!", END][(len(ids) - start - 1) % 4]

    model = replace(scripted_model(says_on_and_on, slots=1, context=128), tokenizer=Forgetful())
    with backend_of(model) as backend:
        backend.load()
        assert backend.start(HELLO, GREEDY).result(10).text == "Hi!"


def test_a_base_model_says_that_it_is_one_and_continues_plain_text_when_asked() -> None:
    class Base(ScriptedTokenizer):
        template_source = None

    model = replace(scripted_model(" upon a time", slots=1, context=128), tokenizer=Base())
    with backend_of(model) as backend, pytest.raises(TemplateError, match=r"base model.*--raw"):
        backend.load()
    reply = [*b" upon a time", END]
    model = replace(
        scripted_model(lambda ids: reply[len(ids) - 5], slots=1, context=128), tokenizer=Base()
    )
    with LocalBackend(lambda _progress: model, name="a model", raw=True) as backend:
        backend.load()
        assert backend.encode([ChatMessage("user", "Once")]).ids == (256, *b"Once")
        assert backend.start([ChatMessage("user", "Once")], GREEDY).result(10).text == (
            " upon a time"
        )


def test_recommendations_that_no_reply_can_be_made_with_are_passed_over() -> None:
    odd = {"temperature": float("nan"), "top_p": -1, "top_k": 20.0, "min_p": 0.1}
    model = scripted_model("Hi!", slots=1, context=128)
    model = replace(model, info=replace(model.info, recommended=odd))
    with backend_of(model) as backend:
        backend.load()
        assert backend.describe().recommended == {"top_k": 20, "min_p": 0.1}


def test_a_reply_that_was_cut_goes_on_from_its_message() -> None:
    """What the page does on "go on": the handle has the new part, and the cache the old one."""
    with backend_of(scripted_model("Grüße aus 中国!", slots=2)) as backend:
        backend.load()
        for cut in range(1, len("Grüße aus 中国!".encode())):
            first = backend.start(HELLO, replace(GREEDY, max_new_tokens=cut))
            first.result(10)
            more = backend.start([*HELLO, first.message()], GREEDY)
            result = more.result(10)
            assert first.message().text + result.text == "Grüße aus 中国!"
            assert more.prompt.spans[-1].origin == "assistant"
            assert result.usage.cached_tokens == result.usage.prompt_tokens - 1


def test_plain_text_goes_on_too() -> None:
    reply = [*b" upon a time", END]
    model = scripted_model(lambda ids: reply[len(ids) - 5], slots=1, context=128)
    with LocalBackend(lambda _progress: model, name="a model", raw=True) as backend:
        backend.load()
        messages = [ChatMessage("user", "Once"), ChatMessage("assistant", " upon")]
        assert backend.start(messages, GREEDY).result(10).text == " a time"


def test_what_a_policy_leaves_out_can_be_seen_before_and_after() -> None:
    with backend_of(scripted_model("Hi!", slots=1, context=200)) as backend:
        backend.load()
        messages = [ChatMessage("system", "Be brief.")]
        for number in range(5):
            messages += [
                ChatMessage("user", f"question {number}"),
                ChatMessage("assistant", f"answer {number}"),
            ]
        messages.append(HELLO[0])
        with pytest.raises(PromptTooLong, match=f"is {backend.measure(messages)} tokens"):
            backend.start(messages, GREEDY)
        oldest = ContextPolicy.LEAVE_OUT_OLDEST
        before = backend.fit(messages, GREEDY, oldest)
        assert before.left_out == tuple(range(1, len(before.left_out) + 1)) != ()
        generation = backend.start(messages, GREEDY, policy=oldest)
        assert generation.prompt == before
        assert generation.result(10).text == "Hi!"
        assert backend.start(HELLO, GREEDY, policy=oldest).prompt.left_out == ()


def test_a_text_is_gone_on_with_as_it_stands_and_begins_once() -> None:
    model = scripted_model("!")
    with backend_of(model) as backend:
        backend.load()
        begin = model.tokenizer.bos_id
        told: list[str] = []
        backend.on_reply(lambda generation: told.append(generation.id))
        as_text = backend.vocabulary.encode("<s>a<|end|>", control=False, opened=True)
        assert as_text == [begin, *b"<s>a<|end|>"]
        as_control = backend.vocabulary.encode("<s>a<|end|>", control=True, opened=True)
        assert as_control == [begin, ord("a"), END]
        assert backend.vocabulary.encode("a", control=True, opened=False) == [ord("a")]
        assert backend.vocabulary.token_bytes(END) == b"<|end|>"
        with pytest.raises(ParameterError, match="below 260"):
            backend.vocabulary.token_bytes(260)
        generation = backend.complete([begin, HEADER_END], GREEDY)
        assert generation.result(10).text == "!"
        assert told == [generation.id]
