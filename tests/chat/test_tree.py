"""Any sequence of edits, answers, deletions keeps a tree with one open path; nothing is lost."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from glasschat.chat.node import Ending, Node, Run
from glasschat.chat.tree import Tree, title_from
from glasschat.errors import InvalidMessage
from glasschat.sampling import SamplingParams
from tests.support.examples import examples

PARAMS = SamplingParams()
TEXT = st.text(max_size=8).map("{}!".format)
picks = st.integers(0, 10**6)


def user(node_id: str, parent: str | None, text: str = "?") -> Node:
    return Node(node_id, parent, "user", text)


def reply(node_id: str, parent: str, text: str = "!") -> Node:
    return Node(node_id, parent, "assistant", text)


ONE = Tree((user("q", None), reply("a", "q"), reply("b", "q"), reply("c", "q")))


class Chatting(RuleBasedStateMachine):
    """A visitor who does everything that a page offers, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = Tree()
        self.numbers = count()
        self.written: dict[str, str] = {}

    def new_id(self) -> str:
        return str(next(self.numbers))

    def pick(self, number: int, role: str | None = None) -> Node | None:
        nodes = [n for n in self.tree.nodes if role in (None, n.role) and self.tree.visible(n.id)]
        return nodes[number % len(nodes)] if nodes else None

    def took(self, tree: Tree, node_id: str) -> None:
        self.tree = tree
        self.written[node_id] = tree[node_id].text
        assert tree.last is not None and tree.last.id == node_id

    @precondition(lambda self: self.tree.last is None or self.tree.last.role == "assistant")
    @rule(text=TEXT)
    def ask(self, text: str) -> None:
        new = self.new_id()
        self.took(self.tree.ask(new, text), new)

    @rule(number=picks, text=TEXT)
    def edit(self, number: int, text: str) -> None:
        if old := self.pick(number, "user"):
            new = self.new_id()
            self.took(self.tree.edit(old.id, new, text), new)
            assert self.tree[old.id] == old

    @rule(number=picks, text=TEXT, ending=st.sampled_from(Ending))
    def answer(self, number: int, text: str, ending: Ending) -> None:
        """The first time, or anew."""
        if asked := self.pick(number, "user"):
            new = self.new_id()
            tree = self.tree.reply(asked.id, new, Run(PARAMS))
            assert tree[new].in_progress
            runs = (Run(PARAMS, ending=ending),)
            self.took(tree.put(replace(tree[new], text=text, ids=(1, 2), runs=runs)), new)

    @rule(number=picks, text=TEXT)
    def go_on(self, number: int, text: str) -> None:
        old = self.pick(number, "assistant")
        if old is None or not old.cut:
            return
        tree = self.tree.go_on(old.id, Run(PARAMS))
        assert tree[old.id].runs[-1].first_token == len(old.ids or ())
        ended = (*old.runs, Run(PARAMS, ending=Ending.STOP))
        self.tree = tree.put(replace(old, text=old.text + text, runs=ended))
        self.written[old.id] = old.text + text

    @rule(number=picks)
    def select(self, number: int) -> None:
        if node := self.pick(number):
            self.tree = self.tree.select(node.id)
            assert node in self.tree.path

    @rule(number=picks)
    def delete(self, number: int) -> None:
        if node := self.pick(number):
            before = self.tree
            self.tree = before.delete(node.id)
            assert not self.tree.visible(node.id)
            assert self.tree.restore(node.id) == before
            if node in before.path:
                at = before.path.index(node)
                assert self.tree.path[:at] == before.path[:at]
                assert bool(self.tree.path[at:]) == (len(before.siblings(node.id)) > 1)

    @rule(number=picks)
    def restore(self, number: int) -> None:
        hidden = [n for n in self.tree.nodes if n.deleted]
        if hidden:
            self.tree = self.tree.restore(hidden[number % len(hidden)].id)

    @invariant()
    def one_open_path(self) -> None:
        above = None
        for node in self.tree.path:
            assert node.parent == above and node in self.tree.children(above)
            above = node.id
        assert self.tree.children(above) == ()

    @invariant()
    def nothing_written_is_lost(self) -> None:
        assert {node.id: node.text for node in self.tree.nodes} == self.written

    @invariant()
    def pruning_changes_nothing_that_one_sees(self) -> None:
        pruned = self.tree.pruned()
        assert pruned.path == self.tree.path
        assert {n.id for n in pruned.nodes} == {
            n.id for n in self.tree.nodes if self.tree.visible(n.id)
        }


TestChatting = Chatting.TestCase
TestChatting.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


def test_a_deleted_branch_leaves_the_sibling_before_it_open() -> None:
    assert [n.id for n in ONE.select("b").delete("b").path] == ["q", "a"]
    assert [n.id for n in ONE.select("a").delete("a").path] == ["q", "b"]
    assert [n.id for n in ONE.delete("a").delete("b").delete("c").path] == ["q"]
    assert ONE.delete("q").path == ()


def test_siblings_are_counted_without_the_deleted() -> None:
    assert [n.id for n in ONE.delete("b").siblings("a")] == ["a", "c"]


def test_the_prompt_of_a_closed_branch_is_its_own() -> None:
    tree = ONE.select("c").ask("q2", "more")
    assert [node.message().text for node in tree.path_to("a")] == ["?", "!"]
    assert [node.message().text for node in tree.path_to("q2")] == ["?", "!", "more"]


@pytest.mark.parametrize(
    "nodes",
    [
        [user("a", "b"), reply("b", "a")],
        [user("a", None), user("b", "a")],
        [reply("a", "x")],
        [user("a", None), reply("a", "a")],
        [user("a", "a")],
    ],
)
def test_what_is_no_tree_is_refused(nodes: list[Node]) -> None:
    with pytest.raises(InvalidMessage):
        Tree(tuple(nodes))


def test_a_first_turn_is_never_a_reply() -> None:
    with pytest.raises(InvalidMessage, match="cannot stand first"):
        Tree((Node("a", None, "assistant", "hello"),))


def test_what_cannot_be_done_says_why() -> None:
    for attempt, said in (
        (lambda: ONE.edit("a", "x", "new"), "edit the turn that asked"),
        (lambda: ONE.go_on("a", Run(PARAMS)), "nothing to continue"),
        (lambda: ONE.ask("x", "  "), "type something"),
        (lambda: ONE["nowhere"], "load it again"),
        (lambda: ONE.delete("q").select("a"), "restore it first"),
        (lambda: ONE.put(reply("a", "q", "other")), "what was written of it stays"),
    ):
        with pytest.raises(InvalidMessage, match=said):
            attempt()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("\n  Why   is it so?\nTell me.", "Why is it so?"),
        ("a" * 100, "a" * 59 + "…"),
        ("word " * 30, "word " * 10 + "word…"),
        ("天" * 70, "天" * 59 + "…"),
        (" \n ", ""),
    ],
)
def test_a_title_is_the_first_line_cut_between_words(text: str, title: str) -> None:
    assert title_from([text]) == title
