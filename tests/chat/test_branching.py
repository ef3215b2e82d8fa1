"""Another token at any place of a reply makes a sibling, and nothing is lost."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Ending, Library, Node, Settings
from glasschat.chat.saved import SavedConversation
from glasschat.chat.store import LOCAL_OWNER
from glasschat.chat.tree import Tree
from glasschat.config import ModelOptions
from glasschat.engine import Generation, StartOptions, State
from glasschat.errors import EngineError, GlasschatError, InvalidMessage, ParameterError
from glasschat.glass import Trace, what_if
from glasschat.models.base import Logits
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import END, HEADER, ScriptedRunner, scripted_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from tests.chat.conftest import DEFAULTS, MakeBackend, alone, answered, texts
from tests.support.examples import examples

TIMEOUT_S = 20
REAL_S = 100
# Few letters, so that penalties and stop strings meet what they look for; a character of two bytes
# and one that is never whole; a token without text; an end that is rare.
LETTERS = sorted({*b"ab<", *"é".encode(), 0xE4, HEADER})
FREE = Settings(SamplingParams(temperature=1.5, top_p=1.0, max_length=90, repetition_penalty=1.1))


def babble(ids: Sequence[int]) -> Logits:
    """Scores that depend on the last two ids alone."""
    row = np.full(260, -30.0, np.float32)
    row[LETTERS] = np.random.default_rng(list(ids[-2:])).normal(0, 1.5, len(LETTERS))
    row[END] = 0.5
    return row


@pytest.fixture
def babbling(make_backend: MakeBackend) -> LocalBackend:
    return make_backend(babble, slots=4, max_waiting=4)


def asked(backend: LocalBackend, settings: Settings, text: str = "go") -> tuple[Conversation, Node]:
    """A conversation with one question, and its reply."""
    conversation = alone()
    conversation.ask(backend, text, settings)
    return conversation, ended(conversation)


def ended(conversation: Conversation) -> Node:
    """The reply at the end of the open path, once it has ended."""
    answered(conversation)
    last = conversation.tree.last
    assert last is not None and not last.in_progress
    return last


def wait_until(generation: Generation, seen: Callable[[], bool]) -> None:
    """Sleep until a reply on its way has come so far."""
    while True:
        version = generation.snapshot().version
        if seen():
            return
        assert generation.wait_for_change(version, TIMEOUT_S)


def chosen(generation: Generation) -> list[tuple[int, float | None]]:
    """Every token with its draw."""
    return [(s.token_id, s.record.u) for s in generation.steps() if s.record is not None]


@given(
    params=st.builds(
        SamplingParams,
        do_sample=st.booleans(),
        temperature=st.sampled_from([0.7, 1.5]),
        repetition_penalty=st.sampled_from([1.0, 1.3]),
        frequency_penalty=st.sampled_from([0.0, 0.7]),
        min_new_tokens=st.sampled_from([0, 6, 20]),
        stop=st.sampled_from([(), ("ab<éa",), ("<<", "éé")]),
        max_length=st.just(60),
        seed=st.none() | st.integers(0, 2**32),
    ),
    share=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_branch_by_the_same_settings_is_the_reply_again(
    babbling: LocalBackend, params: SamplingParams, share: float
) -> None:
    """Same text, same ids, same ending, wherever it begins; also where no seed was asked for."""
    conversation, reply = asked(babbling, Settings(params))
    if reply.ids is None:  # a stop string cut through them
        with pytest.raises(InvalidMessage, match="only the text is known"):
            conversation.branch(babbling, reply.id, 0, Settings(params))
        return
    tokens = len(reply.ids) + (reply.runs[0].ending is Ending.STOP)
    place = int(share * tokens)
    generation = conversation.branch(babbling, reply.id, place, Settings(params))
    assert generation.request.reply_ids == reply.ids[:place]
    begun = generation.prompt.open_reply
    assert begun is None or reply.text.startswith(begun.text)
    again = ended(conversation)
    assert (again.text, again.ids) == (reply.text, reply.ids)
    assert again.runs[-1].ending is reply.runs[-1].ending
    assert again.runs[-1].seed == reply.runs[-1].seed
    assert conversation.tree[reply.id] == reply
    assert conversation.saved.params == params, "the seed of a reply is no setting"


@pytest.mark.parametrize("do_sample", [False, True])
def test_a_token_taken_by_hand_is_that_of_a_fresh_reply_forced_along_the_same_ids(
    babbling: LocalBackend, do_sample: bool
) -> None:
    params = replace(FREE.params, do_sample=do_sample, ignore_eos=True)
    conversation, reply = asked(babbling, Settings(params))
    assert reply.ids is not None
    seed = reply.runs[0].seed
    for place in (0, 1, 7, 30):
        for token in (*b"<", "é".encode()[0], HEADER):
            branched = conversation.branch(
                babbling, reply.id, place, Settings(params), token_id=token
            )
            node = ended(conversation)
            assert node.ids is not None and node.ids[: place + 1] == (*reply.ids[:place], token)
            fresh = babbling.start(
                [conversation.tree.path[0].message()],
                replace(params, seed=seed),
                start_options=StartOptions(forced=node.ids[: place + 1]),
            )
            fresh.result(TIMEOUT_S)
            assert chosen(branched) == chosen(fresh)[place:]
            assert (node.text, node.ids) == (fresh.message().text, fresh.message().ids)
            assert branched.snapshot().usage.cached_tokens > 0


def test_a_reply_that_has_ended_by_itself_can_be_made_to_go_on(make_backend: MakeBackend) -> None:
    backend = make_backend("one two")
    conversation, reply = asked(backend, DEFAULTS)
    assert reply.ids == tuple(b"one two")
    conversation.branch(backend, reply.id, 7, DEFAULTS, token_id=ord("!"))
    more = ended(conversation)
    assert (more.text, more.ids) == ("one two!", tuple(b"one two!"))
    assert [node.text for node in conversation.tree.siblings(reply.id)] == ["one two", "one two!"]
    assert texts(conversation) == ["go", "one two!"]
    conversation.branch(backend, reply.id, 3, DEFAULTS, token_id=END)
    assert (ended(conversation).text, conversation.saved.tree.last) == ("one", ended(conversation))


def test_a_branch_says_what_wrote_each_part_of_it(make_backend: MakeBackend) -> None:
    backend = make_backend(babble)
    first, second, third = (
        Settings(replace(FREE.params, ignore_eos=True, max_new_tokens=10, seed=seed, top_k=seed))
        for seed in (1, 2, 3)
    )
    conversation, reply = asked(backend, first)
    conversation.go_on(backend, reply.id, second)
    reply = ended(conversation)
    unseeded = Settings(replace(third.params, seed=None))
    told = {}
    for place in (0, 4, 10, 13):
        conversation.branch(backend, reply.id, place, unseeded)
        node = ended(conversation)
        assert node.ids is not None and len(node.ids) == place + 10
        told[place] = [
            (run.first_token, run.params.top_k, run.seed, run.usage.completion_tokens, run.ending)
            for run in node.runs
        ]
        assert node.runs[-1].params == replace(third.params, seed=node.runs[-1].seed)
    cut = Ending.LENGTH
    assert told == {
        0: [(0, 3, 1, 10, cut)],
        4: [(0, 1, 1, 4, cut), (4, 3, 1, 10, cut)],
        10: [(0, 1, 1, 10, cut), (10, 3, 2, 10, cut)],
        13: [(0, 1, 1, 10, cut), (10, 2, 2, 3, cut), (13, 3, 2, 10, cut)],
    }
    assert conversation.tree[reply.id] == reply


def test_a_branch_of_a_branch_and_of_what_was_stopped(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(5)
    backend = make_backend("a long answer", gate=gate)
    conversation = alone()
    generation = conversation.ask(backend, "go", DEFAULTS)
    wait_until(generation, lambda: len(generation.steps()) >= 4)
    conversation.stop()
    gate.release(1000)
    stopped = ended(conversation)
    assert stopped.runs[0].ending is Ending.CANCELLED
    conversation.branch(backend, stopped.id, 2, DEFAULTS, token_id=ord("L"))
    one = ended(conversation)
    assert (one.text, [run.ending for run in one.runs]) == (
        "a Long answer",
        [Ending.LENGTH, Ending.STOP],
    )
    conversation.branch(backend, one.id, 5, DEFAULTS, token_id=ord("G"))
    two = ended(conversation)
    assert (two.text, [run.first_token for run in two.runs]) == ("a LonG answer", [0, 2, 5])
    assert two.ids is not None and bytes(two.ids).decode() == two.text


def test_a_reply_on_its_way_goes_on_beside_its_branch(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(7)
    backend = make_backend("a long answer", gate=gate, slots=2)
    conversation = alone()
    generation = conversation.ask(backend, "go", DEFAULTS)
    wait_until(generation, lambda: len(generation.steps()) >= 6)
    source = conversation.tree.last
    assert source is not None
    with pytest.raises(ParameterError, match="in this reply, and 9 is not"):
        conversation.branch(backend, source.id, 9, DEFAULTS)
    branched = conversation.branch(backend, source.id, 2, DEFAULTS, token_id=ord("L"))
    assert len(conversation.running) == 2
    assert conversation.last_reply is branched
    gate.release(1000)
    assert ended(conversation).text == "a Long answer"
    assert generation.result(TIMEOUT_S).text == "a long answer"
    assert [node.text for node in conversation.tree.siblings(source.id)] == [
        "a long answer",
        "a Long answer",
    ]


def test_a_branch_may_start_paused_behind_the_token_that_was_taken(
    babbling: LocalBackend,
) -> None:
    conversation, reply = asked(babbling, Settings(replace(FREE.params, ignore_eos=True)))
    generation = conversation.branch(
        babbling, reply.id, 3, FREE, token_id=97, start_options=StartOptions(paused=True)
    )
    wait_until(generation, lambda: generation.preview is not None)
    assert [step.token_id for step in generation.steps()] == [97]
    assert generation.snapshot().state is State.PAUSED
    conversation.stop()
    assert generation.wait_for_end(TIMEOUT_S)


def test_a_question_may_be_answered_paused(make_backend: MakeBackend) -> None:
    backend, conversation = make_backend(), alone()
    paused = StartOptions(paused=True, forced=(65,))
    actions: tuple[Callable[[], Generation], ...] = (
        lambda: conversation.ask(backend, "go", DEFAULTS, start_options=paused),
        lambda: conversation.edit(
            backend, conversation.tree.path[0].id, "go!", DEFAULTS, start_options=paused
        ),
        lambda: conversation.regenerate(
            backend, conversation.tree.path[1].id, DEFAULTS, start_options=paused
        ),
        lambda: conversation.go_on(
            backend, conversation.tree.path[1].id, DEFAULTS, start_options=StartOptions(paused=True)
        ),
    )
    for action in actions:
        generation = action()
        wait_until(generation, lambda g=generation: g.preview is not None)  # type: ignore[misc]
        generation.cancel()
        assert generation.wait_for_end(TIMEOUT_S)
    assert texts(conversation) == ["go!", "A"]


@pytest.mark.parametrize(
    ("reply", "place", "said"),
    [
        (Node("r", "q", "assistant", "abc", (97, 98, 99)), 3, "from 0 to 2 in this reply, and 3"),
        (Node("r", "q", "assistant", "abc", (97, 98, 99)), -1, "from 0 to 2 in this reply, and -1"),
        (Node("r", "q", "assistant", "abc"), 0, "only the text is known"),
        (Node("r", "q", "assistant", "", ()), 0, "no tokens"),
        (Node("r", "q", "assistant", "other words", (97, 98, 99)), 2, "another one wrote it"),
        (Node("r", "q", "assistant", "abc", (300, 98, 99)), 2, "token 300, and this model has 260"),
        (Node("r", "q", "assistant", "abc", (97, 98, 99), deleted=True), 1, "restore it first"),
    ],
)
def test_what_cannot_be_branched_is_said_and_nothing_changes(
    make_backend: MakeBackend, reply: Node, place: int, said: str
) -> None:
    backend, library = make_backend(), Library()
    tree = Tree((Node("q", None, "user", "go"), reply))
    conversation = library.find(LOCAL_OWNER, library.add(LOCAL_OWNER, SavedConversation(tree=tree)))
    assert conversation is not None
    before = conversation.saved
    with pytest.raises(GlasschatError, match=said):
        conversation.branch(backend, "r", place, DEFAULTS)
    with pytest.raises(InvalidMessage, match="edit it instead"):
        conversation.branch(backend, "q", 0, DEFAULTS)
    assert conversation.saved == before


def test_a_token_that_the_model_has_not_is_refused(make_backend: MakeBackend) -> None:
    backend = make_backend()
    conversation, reply = asked(backend, DEFAULTS)
    before = conversation.saved
    with pytest.raises(ParameterError, match="token_id must be a token id below 260"):
        conversation.branch(backend, reply.id, 2, DEFAULTS, token_id=260)
    assert conversation.saved == before


def test_settings_are_compared_all_at_once(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1000)
    backend = make_backend("a long answer", gate=gate, slots=4)
    conversation, reply = asked(backend, DEFAULTS)
    model = backend.engine.model.runner
    assert isinstance(model, ScriptedRunner)
    while gate.acquire(blocking=False):
        pass
    several = [
        Settings(SamplingParams(temperature=0.0, max_new_tokens=count), system)
        for count, system in ((4, "be brief"), (6, "be long"), (8, ""))
    ]
    started = conversation.compare(reply.id, [(backend, one) for one in several])
    assert list(conversation.running) == [node_id for node_id, _ in started]
    gate.release(1000)
    for _, generation in started:
        generation.result(TIMEOUT_S)
    assert any(len(rows) == 3 for rows in model.forwards), "all three in one step"
    siblings = conversation.tree.siblings(reply.id)
    assert [node.text for node in siblings] == ["a long answer", "a lo", "a long", "a long a"]
    assert [node.id for node in siblings[1:]] == [node_id for node_id, _ in started]
    assert [node.runs[0].params for node in siblings[1:]] == [one.params for one in several]
    assert texts(conversation) == ["go", "a lo"]
    assert (conversation.saved.system, conversation.saved.params) == (
        "be brief",
        several[0].params,
    )
    prompts = {generation.request.prompt_ids for _, generation in started}
    assert len(prompts) == 1, "they read the same"


def test_what_cannot_be_compared_leaves_nothing_behind(make_backend: MakeBackend) -> None:
    gate = threading.Semaphore(1000)
    backend = make_backend(slots=1, max_waiting=1, gate=gate)
    conversation, reply = asked(backend, DEFAULTS)
    while gate.acquire(blocking=False):
        pass
    before = conversation.saved
    for wrong, said in (
        ([DEFAULTS], "2 to 4"),
        ([DEFAULTS] * 5, "2 to 4"),
        ([DEFAULTS, Settings(SamplingParams(max_length=8))], "shorten it"),
        ([DEFAULTS] * 4, "requests are waiting"),
    ):
        with pytest.raises(GlasschatError, match=said):
            conversation.compare(reply.id, [(backend, one) for one in wrong])
        assert conversation.saved == before
        assert not conversation.running
        gate.release(3)
        while backend.stats().running or backend.stats().waiting:
            time.sleep(0.001)
    gate.release(1000)
    conversation.ask(backend, "and now", DEFAULTS)
    answered(conversation)
    assert texts(conversation) == ["go", "an answer", "and now", "an answer"]


def test_at_most_four_replies_of_a_chat_are_written_at_once_and_stop_ends_all(
    make_backend: MakeBackend,
) -> None:
    gate = threading.Semaphore(1000)
    backend = make_backend("a long answer", gate=gate, slots=4, max_waiting=8)
    conversation, reply = asked(backend, DEFAULTS)
    while gate.acquire(blocking=False):
        pass
    conversation.compare(reply.id, [(backend, DEFAULTS)] * 3)
    conversation.branch(backend, reply.id, 3, DEFAULTS)
    with pytest.raises(EngineError, match="at most 4 replies"):
        conversation.branch(backend, reply.id, 3, DEFAULTS)
    with pytest.raises(EngineError, match="at most 4 replies"):
        conversation.compare(reply.id, [(backend, DEFAULTS)] * 2)
    running = conversation.running
    conversation.select(reply.id)
    assert conversation.last_reply is None
    conversation.stop()
    gate.release(1000)
    for generation in running.values():
        assert generation.wait_for_end(TIMEOUT_S)
    assert not conversation.running
    endings = [node.runs[-1].ending for node in conversation.tree.siblings(reply.id)[1:]]
    assert endings == [Ending.CANCELLED] * 4


def test_whole_text_of_a_prefix_is_what_its_ids_say(babbling: LocalBackend) -> None:
    """Python's own decoder is the oracle; of a character that is not whole nothing is said."""
    assert babbling.text_of([*"aé".encode(), HEADER, 0xE4]) == "aé"
    assert babbling.text_of([0xE4, 97]) == b"\xe4a".decode(errors="replace")
    assert babbling.text_of([]) == ""
    with pytest.raises(InvalidMessage, match="token 260"):
        babbling.text_of([97, 260])
    unready = LocalBackend(lambda progress: scripted_model("x"), name="unready")
    with pytest.raises(EngineError, match="still loading"):
        unready.text_of([97])


@pytest.mark.slow
@pytest.mark.parity
def test_the_real_model_goes_where_what_if_said(builtin_model_path: Path) -> None:
    """By the draws of the reply's own seed, which the settings do not name any more."""
    plan = plan_model(ModelOptions(path=builtin_model_path, slots=1, context=512, exact=True))
    backend = LocalBackend(lambda progress: load_model(plan, progress), name="real", exact=True)
    params = SamplingParams(temperature=1.0, max_new_tokens=30)
    with backend:
        backend.load()
        conversation = alone()
        generation = conversation.ask(
            backend, "Tell me of a lighthouse.", Settings(replace(params, seed=3))
        )
        generation.result(REAL_S)
        reply, trace = ended(conversation), Trace.of(generation)
        assert trace is not None and reply.ids is not None
        other = replace(params, temperature=0.4)
        first = what_if(trace, other).first
        assert first is not None and first.certain
        conversation.branch(backend, reply.id, first.place, Settings(other)).result(REAL_S)
        node = ended(conversation)
        assert node.ids is not None
        assert node.ids[: first.place + 1] == (*trace.token_ids[: first.place], first.instead)

        second = int(trace.columns.ids[10, 1])
        branched = conversation.branch(backend, reply.id, 10, Settings(params), token_id=second)
        branched.result(REAL_S)
        fresh = backend.start(
            [ChatMessage("user", "Tell me of a lighthouse.")],
            replace(params, seed=3, max_new_tokens=40),
            start_options=StartOptions(forced=(*trace.token_ids[:10], second)),
        )
        fresh.result(REAL_S)
        assert chosen(branched) == chosen(fresh)[10:]
        for ours, theirs in zip(branched.steps(), fresh.steps()[10:], strict=True):
            assert ours.record is not None and theirs.record is not None
            assert ours.record.top_logits.tobytes() == theirs.record.top_logits.tobytes()
