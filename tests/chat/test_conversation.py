"""What one asks and what one gets stays, whatever goes wrong in between."""

import threading
from dataclasses import FrozenInstanceError

import pytest

from glasschat.chat import Conversation, Settings
from glasschat.engine import FinishReason
from glasschat.errors import EngineError, GlasschatError, InvalidMessage, PromptTooLong, QueueFull
from glasschat.sampling import SamplingParams
from tests.chat.conftest import DEFAULTS, MakeBackend, answered


def test_a_question_is_answered_and_both_are_kept(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend("forty-two"), Conversation()
    conversation.ask(backend, "how many?", DEFAULTS)
    reply = answered(conversation)
    (turn,) = conversation.turns
    assert (turn.question.role, turn.question.text) == ("user", "how many?")
    assert turn.answer is not None
    assert (turn.answer.role, turn.answer.text) == ("assistant", "forty-two")
    assert reply.finish_reason is FinishReason.STOP
    assert conversation.generation is None


def test_a_generated_reply_goes_back_as_the_ids_that_it_was(make_backend: MakeBackend) -> None:
    """Encoded anew, the same text may be other ids, and the cache would be of no use."""
    backend, conversation = make_backend("so be it"), Conversation()
    conversation.ask(backend, "first", DEFAULTS)
    answered(conversation)
    answer = conversation.turns[0].answer
    assert answer is not None
    assert answer.ids == tuple(b"so be it")
    again = conversation.ask(backend, "second", DEFAULTS)
    ids = list(again.request.prompt_ids)
    assert any(ids[i : i + 8] == list(b"so be it") for i in range(len(ids)))
    reply = answered(conversation)
    assert reply.usage.cached_tokens > len("so be it")


def test_the_system_prompt_is_read_first_and_only_if_there_is_one(
    make_backend: MakeBackend,
) -> None:
    backend = make_backend()
    lengths = []
    for system in ("", "  \n", "be brief"):
        conversation = Conversation()
        generation = conversation.ask(backend, "hi", Settings(DEFAULTS.params, system))
        lengths.append(bytes(i for i in generation.request.prompt_ids if i < 256))
        answered(conversation)
    assert b"system" not in lengths[0] + lengths[1]
    assert lengths[2].startswith(b"systembe brief")


def test_again_replaces_the_last_answer_only(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(), Conversation()
    for text in ("one", "two"):
        conversation.ask(backend, text, DEFAULTS)
        answered(conversation)
    before = conversation.turns
    conversation.regenerate(backend, Settings(SamplingParams(max_new_tokens=2)))
    reply = answered(conversation)
    assert conversation.turns[0] == before[0]
    assert conversation.turns[1].question == before[1].question
    assert (reply.text, reply.finish_reason) == ("an", FinishReason.LENGTH)


def test_stop_keeps_what_is_there(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(4)
    backend, conversation = make_backend("a long answer", gate=gate), Conversation()
    generation = conversation.ask(backend, "go", DEFAULTS)
    version = 0
    while len(generation.snapshot().text) < 3:
        assert generation.wait(version, 10)
        version = generation.snapshot().version
    conversation.stop()
    gate.release()
    reply = answered(conversation)
    assert reply.finish_reason is FinishReason.CANCELLED
    assert "a long answer".startswith(reply.text)
    assert len(reply.text) >= 3
    answer = conversation.turns[0].answer
    assert answer is not None
    assert answer.text == reply.text


def test_clear_ends_the_reply_and_forgets_all(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(2)
    backend, conversation = make_backend("a long answer", gate=gate), Conversation()
    generation = conversation.ask(backend, "go", DEFAULTS)
    conversation.clear()
    assert conversation.turns == ()
    assert conversation.generation is None
    gate.release(2)
    assert generation.result(10).finish_reason is FinishReason.CANCELLED
    gate.release(1000)
    conversation.ask(backend, "anew", DEFAULTS)
    assert answered(conversation).text == "a long answer"


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u2003"])
def test_a_blank_message_is_refused(make_backend: MakeBackend, blank: str) -> None:
    conversation = Conversation()
    with pytest.raises(InvalidMessage, match="type something"):
        conversation.ask(make_backend(), blank, DEFAULTS)
    assert conversation.turns == ()


def test_nothing_to_answer_anew_is_said(make_backend: MakeBackend) -> None:
    with pytest.raises(InvalidMessage, match="send a message first"):
        Conversation().regenerate(make_backend(), DEFAULTS)


def test_a_message_too_long_leaves_the_conversation_as_it_was(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(context=256), Conversation()
    conversation.ask(backend, "short", DEFAULTS)
    answered(conversation)
    before = conversation.turns
    with pytest.raises(PromptTooLong, match="shorten it by") as caught:
        conversation.ask(backend, "x" * 300, Settings(SamplingParams(top_p=0.5), "other"))
    assert caught.value.needed > 300
    assert conversation.turns == before
    assert conversation.settings == DEFAULTS
    with pytest.raises(PromptTooLong):
        conversation.regenerate(backend, Settings(SamplingParams(max_length=8)))
    assert conversation.turns == before


def test_a_full_queue_leaves_the_conversation_as_it_was(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(0)
    backend = make_backend(max_waiting=1, gate=gate)
    others = [Conversation() for _ in range(4)]
    refused = 0
    for other in others:
        try:
            other.ask(backend, "me first", DEFAULTS)
        except QueueFull:
            refused += 1
            assert other.turns == ()
            assert other.generation is None
    assert refused >= 1


def test_no_second_question_while_a_reply_runs(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    backend, conversation = make_backend(gate=gate), Conversation()
    running = conversation.ask(backend, "go", DEFAULTS)
    for action in (
        lambda: conversation.ask(backend, "and this", DEFAULTS),
        lambda: conversation.regenerate(backend, DEFAULTS),
    ):
        with pytest.raises(EngineError, match="stop it or wait"):
            action()
    assert conversation.generation is running
    assert [turn.question.text for turn in conversation.turns] == ["go"]


def test_settings_are_those_of_the_moment_of_asking(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    backend, conversation = make_backend("abcdef", gate=gate), Conversation()
    params = SamplingParams(max_new_tokens=3)
    generation = conversation.ask(backend, "go", Settings(params))
    with pytest.raises(FrozenInstanceError):
        params.max_new_tokens = 6  # type: ignore[misc]
    gate.release(1000)
    assert answered(conversation).text == "abc"
    assert generation.request.params is params
    assert conversation.settings == Settings(params)


def test_every_refusal_is_one_line_that_a_page_can_show(make_backend: MakeBackend) -> None:
    backend = make_backend(context=128)
    for text in ("", "x" * 500):
        with pytest.raises(GlasschatError) as caught:
            Conversation().ask(backend, text, DEFAULTS)
        assert "\n" not in str(caught.value)
