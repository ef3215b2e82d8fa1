"""Chats of other programs arrive as the trees that they were, and what did not arrive is told."""

import json
from typing import Any

from glasschat.chat.exchange import Imported, as_markdown, import_file
from glasschat.chat.node import Ending, Node, Origin, Run
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree
from glasschat.sampling import SamplingParams

NOW = 5_000


def imported(plain: Any) -> Imported:
    return import_file(json.dumps(plain).encode(), now=NOW)


def path(tree: Tree) -> list[tuple[str, str]]:
    return [(node.role, node.text) for node in tree.path]


def reasons(found: Imported) -> dict[str, int]:
    return {skipped.why: skipped.count for skipped in found.skipped}


def test_a_list_of_messages() -> None:
    found = imported(
        [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "why?"},
            {"role": "assistant", "content": [{"type": "text", "text": "because"}]},
        ]
    )
    (chat,) = found.conversations
    assert (chat.title, chat.system, chat.created) == ("why?", "be brief", NOW)
    assert path(chat.tree) == [("user", "why?"), ("assistant", "because")]
    assert found.skipped == ()


def test_what_no_turn_can_hold_is_skipped_and_said() -> None:
    found = imported(
        {
            "messages": [
                {"role": "assistant", "content": "welcome"},
                {"role": "user", "content": "look"},
                {"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "!"}]},
                {"role": "assistant", "content": None, "tool_calls": [{}]},
                {"role": "tool", "content": "42"},
                {"role": "system", "content": "late"},
                {"role": "assistant", "content": "seen"},
            ]
        }
    )
    assert path(found.conversations[0].tree) == [("user", "look\n\n!"), ("assistant", "seen")]
    assert reasons(found) == {
        "a reply that nobody asked for, at the beginning": 1,
        "a part of a message that is no text (image_url)": 1,
        "a border between two user messages in a row: they are one now": 1,
        "an empty assistant message": 1,
        "a message of the role 'tool'": 1,
        "a system message amid the chat": 1,
    }


def test_one_conversation_a_line() -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "hi"}], "title": "greeting"})
    found = import_file(f"{line}\n{line}\n\n".encode())
    assert [c.title for c in found.conversations] == ["greeting", "greeting"]
    assert len({c.id for c in found.conversations}) == 2


def node(key: str, parent: str | None, role: str | None, *parts: Any, **more: Any) -> Any:
    """A node as ChatGPT's export has it."""
    message = None
    if role is not None:
        kind = more.pop("content_type", "text")
        message = {
            "id": key,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": 12.5,
            "content": {"content_type": kind, "parts": list(parts)},
            "weight": 1.0,
            "metadata": {},
            "recipient": "all",
            **more,
        }
    return {"id": key, "message": message, "parent": parent, "children": []}


def chatgpt(*nodes: Any, current: str | None = None, **more: Any) -> list[Any]:
    mapping = {n["id"]: n for n in nodes}
    for n in nodes:
        if n["parent"] in mapping:
            mapping[n["parent"]]["children"].append(n["id"])
    plain = {"title": "A chat", "create_time": 1.5, "update_time": 2.25, "mapping": mapping}
    return [{**plain, "current_node": current, **more}]


def test_branches_of_chatgpt_stay_branches_and_the_open_one_open() -> None:
    found = imported(
        chatgpt(
            node("root", None, None),
            node("sys", "root", "system", ""),
            node("q", "sys", "user", "why?"),
            node("a1", "q", "assistant", "first"),
            node("a2", "q", "assistant", "second"),
            node("q2", "a1", "user", "go on"),
            node("q3", "a1", "user", "or rather"),
            current="q2",
        )
    )
    (chat,) = found.conversations
    assert (chat.title, chat.created, chat.updated) == ("A chat", 1500, 2250)
    assert path(chat.tree) == [("user", "why?"), ("assistant", "first"), ("user", "go on")]
    assert [n.text for n in chat.tree.siblings("a1")] == ["first", "second"]
    assert [n.text for n in chat.tree.siblings("q2")] == ["go on", "or rather"]
    assert chat.tree["a1"].created == 12_500
    assert found.skipped == ()


def test_what_stands_between_the_turns_is_left_out_and_told() -> None:
    """A reply that used tools on its way is one reply; both texts of it are kept."""
    hidden = {"is_visually_hidden_from_conversation": True}
    found = imported(
        chatgpt(
            node("root", None, None),
            node("ctx", "root", "user", "I am tall", metadata=hidden),
            node("q", "ctx", "user", "look", {"content_type": "image_asset_pointer"},
                 content_type="multimodal_text"),
            node("t", "q", "assistant", content_type="thoughts"),
            node("a", "t", "assistant", "Let me see."),
            node("call", "a", "assistant", "open()", recipient="browser"),
            node("tool", "call", "tool", "result"),
            node("b", "tool", "assistant", "It is blue."),
            current="b",
        )
    )  # fmt: skip
    (chat,) = found.conversations
    assert path(chat.tree) == [("user", "look"), ("assistant", "Let me see.\n\nIt is blue.")]
    assert reasons(found) == {
        "a hidden message": 1,
        "a part of a message that is no text (image_asset_pointer)": 1,
        "a message that is no text (thoughts)": 1,
        "a call to a tool": 1,
        "a message of the role 'tool'": 1,
    }


def test_a_reply_that_parted_after_a_tool_becomes_two_whole_ones() -> None:
    found = imported(
        chatgpt(
            node("q", None, "user", "look"),
            node("a", "q", "assistant", "Let me see."),
            node("b", "a", "assistant", "Blue."),
            node("c", "a", "assistant", "Red."),
            current="tool that is gone",
        )
    )
    tree = found.conversations[0].tree
    assert [n.text for n in tree.children("q")] == ["Let me see.\n\nBlue.", "Let me see.\n\nRed."]


def test_a_circle_and_a_broken_conversation_do_not_harm_the_others() -> None:
    circle = chatgpt(
        node("q", None, "user", "fine"), node("x", "y", "user", "1"), node("y", "x", "user", "2")
    )
    deep = chatgpt(
        *(node(f"{n}", f"{n - 1}" if n else None, ("user", "assistant")[n % 2], f"{n}")
          for n in range(3000))
    )  # fmt: skip
    found = imported([*circle, {"mapping": 3}, {"mapping": {"a": 7}}, *deep])
    assert [len(c.tree.path) for c in found.conversations] == [1, 3000]
    assert len(found.skipped) == 3


def test_a_page_to_read() -> None:
    run = Run(SamplingParams(), Origin("SmolLM2"), ending=Ending.LENGTH)
    tree = Tree(
        (
            Node("q", None, "user", "why?"),
            Node("x", "q", "assistant", "closed branch"),
            Node("a", "q", "assistant", "# because\n", runs=(run,)),
        ),
        {"q": "a"},
    )
    kept = SavedConversation(
        "id", "A\ntitle", created=86_400_000, system="be brief\nand kind", tree=tree
    )
    assert as_markdown(kept) == (
        "# A title\n\n*1970-01-02 00:00 UTC*\n\n> **System prompt**\n>\n> be brief\n> and kind\n\n"
        "## You\n\nwhy?\n\n## Assistant (SmolLM2, cut at its length)\n\n# because\n"
    )


def test_a_parent_that_is_no_node_of_chatgpt_stops_nothing() -> None:
    found = imported(
        [{"mapping": {"root": 7, "q": {**node("q", "root", "user", "why?"), "children": None}}}]
    )
    assert path(found.conversations[0].tree) == [("user", "why?")]
