"""A conversation as a tree of turns with one open path. No operation changes a tree.

Nothing that was written leaves a tree: an edited turn and a reply asked for anew become siblings,
and a deleted branch is hidden until `restore` or the store's own clearing up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from glasschat.chat.node import Node, Run
from glasschat.errors import InvalidMessage
from glasschat.messages import Message

Nodes = dict[str, Node]
Chosen = Mapping[str | None, str]


@dataclass(frozen=True)
class Tree:
    """Turns in the order in which they came, and which child each has open.

    A user turn follows a reply or nothing, a reply follows a user turn. `chosen` names the open
    child by its parent's id, None for the first turns. A child that is not visible, or that
    nobody chose, is stood in for: by the sibling before it, or else by the one after it. So a
    deleted branch that is restored is open again if it was.

    Raises InvalidMessage for turns that are no tree; an operation that cannot be raises it too.
    """

    nodes: tuple[Node, ...] = ()
    chosen: Chosen = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for node in self.nodes:
            _check(node, seen)
            seen[node.id] = node.role

    # --- looking --------------------------------------------------------------------------

    @cached_property
    def _by_id(self) -> Nodes:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _children(self) -> dict[str | None, list[Node]]:
        children: dict[str | None, list[Node]] = {}
        for node in self.nodes:
            children.setdefault(node.parent, []).append(node)
        return children

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._by_id

    def __getitem__(self, node_id: str) -> Node:
        """Return the turn of that id, deleted or not. Raises InvalidMessage."""
        node = self._by_id.get(node_id)
        if node is None:
            raise InvalidMessage(
                "this conversation has no turn {node_id}: load it again", node_id=repr(node_id[:80])
            )
        return node

    def children(self, node_id: str | None) -> tuple[Node, ...]:
        """Return the turns that follow `node_id` and are not deleted; the first turns for None."""
        return tuple(node for node in self._children.get(node_id, ()) if not node.deleted)

    def siblings(self, node_id: str) -> tuple[Node, ...]:
        """Return the children of the turn's parent in order, the turn among them; for ‹ 2/3 ›."""
        return self.children(self[node_id].parent)

    def visible(self, node_id: str) -> bool:
        """Return whether neither the turn nor one above it is deleted."""
        node: Node | None = self[node_id]
        while node is not None and not node.deleted:
            node = self._by_id.get(node.parent) if node.parent else None
        return node is None

    @cached_property
    def path(self) -> tuple[Node, ...]:
        """The open path, from its first turn to its last."""
        path: list[Node] = []
        node = self._open_child(None)
        while node is not None:
            path.append(node)
            node = self._open_child(node.id)
        return tuple(path)

    @property
    def last(self) -> Node | None:
        """The last turn of the open path; after `ask`, `edit` and `reply` the one they made."""
        return self.path[-1] if self.path else None

    def path_to(self, node_id: str) -> tuple[Node, ...]:
        """Return the turns from the first to `node_id`, open or not."""
        path = [self[node_id]]
        while (parent := path[-1].parent) is not None:
            path.append(self[parent])
        return tuple(reversed(path))

    def _open_child(self, node_id: str | None) -> Node | None:
        all_children = self._children.get(node_id, [])
        wanted = self.chosen.get(node_id)
        at = next((i for i, node in enumerate(all_children) if node.id == wanted), -1)
        before = (node for node in reversed(all_children[: at + 1]) if not node.deleted)
        after = (node for node in all_children[at + 1 :] if not node.deleted)
        if at < 0:  # nobody chose: the newest
            return next((node for node in reversed(all_children) if not node.deleted), None)
        return next(before, None) or next(after, None)

    # --- changing -------------------------------------------------------------------------

    def add(self, node: Node) -> "Tree":
        """Return the tree with `node` as its parent's newest child, and open."""
        if node.parent is not None and not self.visible(node.parent):
            raise InvalidMessage("the turn above has been deleted: restore it first")
        tree = Tree((*self.nodes, replace(node, deleted=False)), self.chosen)
        return tree.select(node.id)

    def ask(self, node_id: str, text: str, *, created: int = 0) -> "Tree":
        """Return the tree with a new user turn at the end of the open path."""
        _refuse_empty(text)
        parent = self.last.id if self.last else None
        return self.add(Node(node_id, parent, "user", text, created=created))

    def edit(self, old_id: str, node_id: str, text: str, *, created: int = 0) -> "Tree":
        """Return the tree with a sibling of the user turn `old_id`: the same in other words."""
        _refuse_empty(text)
        old = self[old_id]
        if old.role != "user":
            raise InvalidMessage("a reply is not edited: edit the turn that asked for it")
        return self.add(Node(node_id, old.parent, "user", text, created=created))

    def reply(self, user_id: str, node_id: str, run: Run, *, created: int = 0) -> "Tree":
        """Return the tree with an empty reply to the user turn, which `run` is about to write."""
        return self.add(Node(node_id, user_id, "assistant", "", (), created, (run,)))

    def go_on(self, node_id: str, run: Run) -> "Tree":
        """Return the tree with a further run for a reply that was cut."""
        node = self[node_id]
        if not node.cut:
            raise InvalidMessage("this reply is not one that was cut: there is nothing to continue")
        run = replace(run, first_token=len(node.ids or ()))
        return self.put(replace(node, runs=(*node.runs, run)))

    def put(self, node: Node) -> "Tree":
        """Return the tree with another state of a reply: more text, more ids, a run that ended."""
        old = self[node.id]
        if (old.parent, old.role) != (node.parent, node.role) or node.role == "user":
            raise InvalidMessage("only a reply grows, and it stays where it is")
        if not node.text.startswith(old.text):
            raise InvalidMessage("a reply only grows: what was written of it stays")
        return Tree(tuple(node if n.id == node.id else n for n in self.nodes), self.chosen)

    def select(self, node_id: str) -> "Tree":
        """Return the tree with the open path through `node_id`."""
        if not self.visible(node_id):
            raise InvalidMessage("this turn has been deleted: restore it first")
        opened = {node.parent: node.id for node in self.path_to(node_id)}
        return Tree(self.nodes, {**self.chosen, **opened})

    def delete(self, node_id: str) -> "Tree":
        """Return the tree with `node_id` and what is below it deleted; `restore` undoes it."""
        return self._with_deleted(node_id, deleted=True)

    def restore(self, node_id: str) -> "Tree":
        """Return the tree with a deleted branch restored, open if it was and nothing else is."""
        return self._with_deleted(node_id, deleted=False)

    def pruned(self) -> "Tree":
        """Return the tree without its deleted branches, for good."""
        keep: set[str | None] = {None}
        nodes: list[Node] = []
        for node in self.nodes:
            if node.parent in keep and not node.deleted:
                keep.add(node.id)
                nodes.append(node)
        return Tree(
            tuple(nodes), {p: c for p, c in self.chosen.items() if p in keep and c in keep}
        )._with_open_paths_of(self)

    def _with_open_paths_of(self, other: "Tree") -> "Tree":
        """Return the tree with the paths open that stand-ins kept open in `other`."""
        opened = {
            parent: stand_in.id
            for parent, wanted in other.chosen.items()
            if (parent is None or parent in self)
            and wanted not in self
            and (stand_in := other._open_child(parent)) is not None
        }
        return Tree(self.nodes, {**self.chosen, **opened}) if opened else self

    def _with_deleted(self, node_id: str, *, deleted: bool) -> "Tree":
        node = replace(self[node_id], deleted=deleted)
        return Tree(tuple(node if n.id == node_id else n for n in self.nodes), self.chosen)


def _check(node: Node, roles: Mapping[str, str]) -> None:
    if node.id in roles:
        raise InvalidMessage("two turns have the id {id}", id=repr(node.id))
    if node.parent is None:
        above = "assistant"
    elif node.parent in roles:
        above = roles[node.parent]
    else:
        raise InvalidMessage(
            "the turn {id} follows {parent}, which is not here",
            id=repr(node.id),
            parent=repr(node.parent[:80]),
        )
    if above == node.role:
        place = Message("behind another {role} turn", role=above)
        if node.parent is None:
            place = Message("first")
        raise InvalidMessage(
            "a turn of the role {role} cannot stand {place}", role=node.role, place=place
        )


def _refuse_empty(text: str) -> None:
    if not text.strip():
        raise InvalidMessage("the message is empty: type something first")


def title_from(texts: Iterable[str], *, most: int = 60) -> str:
    """Return a title: the first line of the first text that has one, at most `most` characters."""
    for text in texts:
        line = next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")
        if len(line) > most:
            cut = line[: most - 1]
            # A word is cut only where there is no blank near, as in Chinese.
            blank = cut.rfind(" ", most // 2)
            return (cut[:blank] if blank > 0 else cut).rstrip() + "…"
        if line:
            return line
    return ""
