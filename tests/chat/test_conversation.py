"""What one asks and what one gets stays, whatever goes wrong in between."""

import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from glasschat.chat import Conversation, Ending, Settings
from glasschat.errors import (
    EngineError,
    GlasschatError,
    InvalidMessage,
    PromptTooLong,
    QueueFull,
    StageNotHere,
)
from glasschat.sampling import CustomStage, SamplingParams
from tests.chat.conftest import DEFAULTS, MakeBackend, alone, answered, texts


def last_id(conversation: Conversation) -> str:
    assert conversation.tree.last is not None
    return conversation.tree.last.id


def test_a_question_is_answered_and_both_are_kept(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend("forty-two"), alone()
    conversation.ask(backend, "how many?", DEFAULTS)
    run = answered(conversation)
    assert [(node.role, node.text) for node in conversation.tree.path] == [
        ("user", "how many?"),
        ("assistant", "forty-two"),
    ]
    assert run.ending is Ending.STOP
    assert run.usage.completion_tokens == len("forty-two") + 1
    assert conversation.last_reply is None
    assert conversation.saved.title == "how many?"


def test_a_generated_reply_goes_back_as_the_ids_that_it_was(make_backend: MakeBackend) -> None:
    """Encoded anew, the same text may be other ids, and the cache would be of no use."""
    backend, conversation = make_backend("so be it"), alone()
    conversation.ask(backend, "first", DEFAULTS)
    answered(conversation)
    assert conversation.tree.path[1].ids == tuple(b"so be it")
    again = conversation.ask(backend, "second", DEFAULTS)
    ids = list(again.request.prompt_ids)
    assert any(ids[i : i + 8] == list(b"so be it") for i in range(len(ids)))
    assert answered(conversation).usage.cached_tokens > len("so be it")


def test_the_system_prompt_is_read_first_and_only_if_there_is_one(
    make_backend: MakeBackend,
) -> None:
    backend = make_backend()
    prompts = []
    for system in ("", "  \n", "be brief"):
        conversation = alone()
        generation = conversation.ask(backend, "hi", Settings(DEFAULTS.params, system))
        prompts.append(bytes(i for i in generation.request.prompt_ids if i < 256))
        answered(conversation)
    assert b"system" not in prompts[0] + prompts[1]
    assert prompts[2].startswith(b"systembe brief")


def test_again_makes_a_sibling_and_keeps_the_old_reply(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(), alone()
    for text in ("one", "two"):
        conversation.ask(backend, text, DEFAULTS)
        answered(conversation)
    old = last_id(conversation)
    conversation.regenerate(backend, old, Settings(SamplingParams(max_new_tokens=2)))
    assert answered(conversation).ending is Ending.LENGTH
    assert texts(conversation) == ["one", "an answer", "two", "an"]
    assert [node.text for node in conversation.tree.siblings(old)] == ["an answer", "an"]
    conversation.select(old)
    assert texts(conversation)[-1] == "an answer"


def test_an_earlier_reply_can_be_asked_for_anew(make_backend: MakeBackend) -> None:
    """What followed the old one stays with it."""
    backend, conversation = make_backend(), alone()
    conversation.ask(backend, "one", DEFAULTS)
    answered(conversation)
    first = last_id(conversation)
    conversation.ask(backend, "two", DEFAULTS)
    answered(conversation)
    conversation.regenerate(backend, first, DEFAULTS)
    answered(conversation)
    assert texts(conversation) == ["one", "an answer"]
    conversation.select(first)
    assert texts(conversation) == ["one", "an answer", "two", "an answer"]


def test_an_edited_question_stands_beside_the_old_one(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(), alone()
    conversation.ask(backend, "teh question", DEFAULTS)
    answered(conversation)
    asked = conversation.tree.path[0].id
    conversation.edit(backend, asked, "the question", DEFAULTS)
    answered(conversation)
    assert texts(conversation) == ["the question", "an answer"]
    conversation.select(asked)
    assert texts(conversation) == ["teh question", "an answer"]


def test_a_reply_that_was_cut_goes_on_where_it_was(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend("a long answer"), alone()
    conversation.ask(backend, "go", Settings(SamplingParams(temperature=0, max_new_tokens=6)))
    assert answered(conversation).ending is Ending.LENGTH
    assert texts(conversation)[-1] == "a long"
    conversation.go_on(backend, last_id(conversation), DEFAULTS)
    assert answered(conversation).ending is Ending.STOP
    last = conversation.tree.last
    assert last is not None
    assert (last.text, last.ids) == ("a long answer", tuple(b"a long answer"))
    assert [run.first_token for run in last.runs] == [0, 6]
    with pytest.raises(InvalidMessage, match="nothing to continue"):
        conversation.go_on(backend, last.id, DEFAULTS)


def test_a_reply_that_was_cut_within_its_first_character_goes_on(
    make_backend: MakeBackend,
) -> None:
    """It has ids, and no text yet."""
    backend, conversation = make_backend("中文"), alone()
    conversation.ask(backend, "go", Settings(SamplingParams(temperature=0, max_new_tokens=1)))
    answered(conversation)
    conversation.go_on(backend, last_id(conversation), DEFAULTS)
    assert answered(conversation).ending is Ending.STOP
    last = conversation.tree.last
    assert last is not None
    assert (last.text, last.ids) == ("中文", tuple("中文".encode()))


def test_a_run_says_what_wrote_it(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(), alone()
    conversation.ask(backend, "go", DEFAULTS)
    origin, told = answered(conversation).origin, backend.describe().provenance
    assert origin.model == "scripted"
    assert origin.template_fingerprint == told.template_fingerprint != ""
    assert origin.versions == told.versions


def test_a_deleted_branch_can_be_had_back(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(), alone()
    for text in ("one", "two"):
        conversation.ask(backend, text, DEFAULTS)
        answered(conversation)
    second = conversation.tree.path[2].id
    conversation.delete_branch(second)
    assert texts(conversation) == ["one", "an answer"]
    conversation.restore_branch(second)
    assert texts(conversation) == ["one", "an answer", "two", "an answer"]


def test_a_branch_that_is_deleted_in_mid_reply_frees_the_engine(
    make_backend: MakeBackend,
) -> None:
    gate = threading.Semaphore(2)
    backend, conversation = make_backend("a long answer", gate=gate), alone()
    generation = conversation.ask(backend, "go", DEFAULTS)
    conversation.delete_branch(conversation.tree.path[0].id)
    assert texts(conversation) == []
    gate.release(1000)
    assert generation.result(10).text != "a long answer"
    conversation.ask(backend, "anew", DEFAULTS)
    answered(conversation)
    assert texts(conversation) == ["anew", "a long answer"]


def test_stop_keeps_what_is_there(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(4)
    backend, conversation = make_backend("a long answer", gate=gate), alone()
    generation = conversation.ask(backend, "go", DEFAULTS)
    version = 0
    while len(generation.snapshot().text) < 3:
        assert generation.wait_for_change(version, 10)
        version = generation.snapshot().version
    whole = conversation.live.saved_with_progress.tree.last
    assert whole is not None
    assert whole.in_progress
    assert "a long answer".startswith(whole.text)
    assert len(whole.text) >= 3
    conversation.stop()
    gate.release()
    assert answered(conversation).ending is Ending.CANCELLED
    assert "a long answer".startswith(texts(conversation)[-1])
    assert len(texts(conversation)[-1]) >= 3


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u2003"])
def test_a_blank_message_is_refused(make_backend: MakeBackend, blank: str) -> None:
    conversation = alone()
    with pytest.raises(InvalidMessage, match="type something"):
        conversation.ask(make_backend(), blank, DEFAULTS)
    assert conversation.tree.nodes == ()


def test_a_message_too_long_leaves_the_conversation_as_it_was(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(context=256), alone()
    conversation.ask(backend, "short", DEFAULTS)
    answered(conversation)
    before = conversation.saved
    with pytest.raises(PromptTooLong, match="shorten it by") as caught:
        conversation.ask(backend, "x" * 300, Settings(SamplingParams(top_p=0.5), "other"))
    assert caught.value.needed > 300
    with pytest.raises(PromptTooLong):
        conversation.edit(backend, before.tree.path[0].id, "x" * 300, DEFAULTS)
    with pytest.raises(PromptTooLong):
        small = Settings(SamplingParams(max_length=8))
        conversation.regenerate(backend, last_id(conversation), small)
    assert conversation.saved == before


def test_a_full_queue_leaves_the_conversation_as_it_was(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(0)
    backend = make_backend(max_waiting=1, gate=gate)
    others = [alone() for _ in range(4)]
    refused = 0
    for other in others:
        try:
            other.ask(backend, "me first", DEFAULTS)
        except QueueFull:
            refused += 1
            assert other.tree.nodes == ()
            assert other.last_reply is None
    assert refused >= 1


def test_no_second_question_while_a_reply_runs(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    backend, conversation = make_backend(gate=gate), alone()
    running = conversation.ask(backend, "go", DEFAULTS)
    asked, reply = (node.id for node in conversation.tree.path)
    actions: tuple[Callable[[], object], ...] = (
        lambda: conversation.ask(backend, "and this", DEFAULTS),
        lambda: conversation.edit(backend, asked, "and this", DEFAULTS),
        lambda: conversation.regenerate(backend, reply, DEFAULTS),
        lambda: conversation.go_on(backend, reply, DEFAULTS),
    )
    for action in actions:
        with pytest.raises(EngineError, match="stop it or wait"):
            action()
    assert conversation.last_reply is running
    assert texts(conversation) == ["go", ""]


def test_settings_are_those_of_the_moment_of_asking(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1)
    backend, conversation = make_backend("abcdef", gate=gate), alone()
    params = SamplingParams(max_new_tokens=3)
    generation = conversation.ask(backend, "go", Settings(params))
    with pytest.raises(FrozenInstanceError):
        params.max_new_tokens = 6  # type: ignore[misc]
    gate.release(1000)
    answered(conversation)
    assert texts(conversation)[-1] == "abc"
    assert generation.request.params is params
    assert conversation.saved.params is params


def test_every_refusal_is_one_line_that_a_page_can_show(make_backend: MakeBackend) -> None:
    backend = make_backend(context=128)
    for text in ("", "x" * 500):
        with pytest.raises(GlasschatError) as caught:
            alone().ask(backend, text, DEFAULTS)
        assert "\n" not in str(caught.value)


def test_a_stage_that_is_not_here_is_said_and_nothing_is_lost(make_backend: MakeBackend) -> None:
    """A reply that another server wrote with a stage of its own opens all the same."""
    own = CustomStage.of("somebodys", "warper", {"by": 0.5})
    asked = Settings(replace(DEFAULTS.params, own_stages=(own,)))
    backend, conversation = make_backend("abc"), alone()
    conversation.ask(backend, "first", DEFAULTS)
    answered(conversation)
    before = conversation.saved
    for again in (
        lambda: conversation.regenerate(backend, last_id(conversation), asked),
        lambda: conversation.ask(backend, "second", asked),
    ):
        with pytest.raises(StageNotHere, match="the stage somebodys is not here: turn it off"):
            again()
    assert conversation.saved == before
