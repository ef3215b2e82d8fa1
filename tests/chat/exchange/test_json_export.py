"""What is exported comes back identical, and what is not ours is refused by name."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.chat.exchange import as_json, import_file
from glasschat.chat.node import Ending, Node, Run
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree
from glasschat.errors import InvalidImport
from glasschat.sampling import SamplingParams
from tests.chat.exchange.trees import conversations
from tests.support.examples import examples

RUN = Run(SamplingParams(), ending=Ending.STOP)
SMALL = SavedConversation(
    "id", "title", tree=Tree((Node("q", None, "user", "?"), Node("a", "q", "assistant", "!",
    (1,), runs=(RUN,))), {None: "q", "q": "a"})
)  # fmt: skip


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(conversations, max_size=2))
def test_what_is_exported_comes_back_identical(kept: list[SavedConversation]) -> None:
    """All but the deleted branches, which are not handed on."""
    back = import_file(as_json(kept).encode())
    assert back.skipped == ()
    assert back.conversations == tuple(replace(c, tree=c.tree.pruned()) for c in kept)
    assert all(b.tree.path == k.tree.path for b, k in zip(back.conversations, kept, strict=True))


def broken(change: dict[str, Any], where: str) -> bytes:
    plain = json.loads(as_json([SMALL, replace(SMALL, id="other")]))
    first = plain["conversations"][0]
    place = {
        "file": plain,
        "conversation": first,
        "turn": first["turns"][1],
        "run": first["turns"][1]["runs"][0],
    }[where]
    place.update(change)
    return json.dumps(plain).encode()


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("conversation", {"title": None}),
        ("conversation", {"title": "\ud800"}),
        ("conversation", {"id": ""}),
        ("conversation", {"created": -1}),
        ("conversation", {"turns": {}}),
        ("conversation", {"open": "nowhere"}),
        ("conversation", {"params": {"temperature": "hot"}}),
        ("conversation", {"params": {"logit_bias": {"9" * 5000: 1}}}),
        ("conversation", {"params": {"own_stages": "half"}}),
        ("conversation", {"params": {"own_stages": [{"name": "half", "kind": "warper"}]}}),
        ("conversation", {"params": {"own_stages": [{"name": {}, "kind": [], "settings": {}}]}}),
        ("conversation", {"params": {"own_stages": [["half"]] * 9999}}),
        ("turn", {"parent": "a"}),
        ("turn", {"parent": "nowhere"}),
        ("turn", {"id": "q"}),
        ("turn", {"id": "x" * 65}),
        ("turn", {"role": "tool"}),
        ("turn", {"role": "user"}),
        ("turn", {"ids": [-1]}),
        ("turn", {"ids": [2**32]}),
        ("turn", {"ids": [True]}),
        ("turn", {"ids": "1"}),
        ("turn", {"text": "\udc00"}),
        ("turn", {"open": "q"}),
        ("run", {"ending": "tired"}),
        ("run", {"seed": 2**64}),
        ("run", {"usage": None}),
        ("run", {"timings": {"ttft_s": 10**400}}),
        ("run", {"timings": {"ttft_s": "soon"}}),
        ("run", {"origin": {"model": 3}}),
    ],
)
def test_a_malformed_conversation_is_skipped_and_its_neighbour_is_not(
    where: str, change: dict[str, Any]
) -> None:
    back = import_file(broken(change, where))
    assert [c.id for c in back.conversations] == ["other"]
    assert [s.where for s in back.skipped] == ["conversation 1"]


def test_a_newer_file_says_so() -> None:
    with pytest.raises(InvalidImport, match="version 2 and this glasschat reads up to 1: update"):
        import_file(broken({"version": 2}, "file"))


def test_a_setting_of_another_version_is_left_out() -> None:
    back = import_file(broken({"params": {"top_k": 4, "mirostat": 2}}, "conversation"))
    assert back.conversations[0].params == SamplingParams(top_k=4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"3",
        b'{"format": "glasschat"}',
        b'{"format": "glasschat", "version": 1}',
        b"[" * 100_000,
        b'{"a": NaN}',
        b"[" + b"9" * 10_000 + b"]",
        b'[{"title": "no mapping"}]',
        b'"' + b"x" * 100 + b'"',
    ],
)
def test_what_is_no_chat_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(InvalidImport) as caught:
        import_file(data)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_file_beyond_bounds_is_not_even_parsed() -> None:
    with pytest.raises(InvalidImport, match="split it"):
        import_file(b"[" * 101, most_bytes=100)


NAMES = (
    *("role", "content", "text", "parts", "mapping", "message", "author", "parent", "children"),
    *("current_node", "title", "messages", "format", "version", "conversations", "turns", "id"),
    *("weight", "content_type", "type"),
)
VALUES = ("user", "assistant", "system", "glasschat", "text", 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES), inner | st.sampled_from(VALUES), max_size=6)
    ),
    max_leaves=15,
)


@settings(max_examples=examples(100), deadline=None)
@given(json_values | st.lists(json_values), st.sampled_from(["mapping", "messages", ""]))
def test_nothing_that_is_json_makes_it_stumble(plain: Any, under: str) -> None:
    data = json.dumps([{under: plain}] if under else plain).encode()
    try:
        found = import_file(data)
    except InvalidImport:
        return
    for conversation in found.conversations:
        assert conversation.tree.path
