"""ChatGPT's conversations.json: trees of messages, with much between them that is no turn.

Each conversation has a `mapping` of nodes with a parent, children in order, and a message or
none. Messages to and from tools, hidden ones and the model's thoughts are left out; what one role
said before and after them becomes one turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glasschat.chat.exchange.messages import content_text
from glasschat.chat.exchange.plain import LONGEST_TEXT, MOST_TURNS, mended, milliseconds
from glasschat.chat.exchange.report import Imported, Skips
from glasschat.chat.node import LONGEST_ID, Node, TurnRole, new_id
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree, titled
from glasschat.errors import InvalidImport, InvalidMessage

FORMAT = "ChatGPT's conversations.json"
TEXTS = ("text", "multimodal_text")


@dataclass(slots=True)
class Said:
    """A message that is kept, and those kept ones that follow it."""

    key: str
    role: TurnRole
    text: str
    created: int
    after: list["Said"] = field(default_factory=list)


def is_chatgpt(value: Any) -> bool:
    """Whether it is one conversation of such a file."""
    return isinstance(value, Mapping) and isinstance(value.get("mapping"), Mapping)


def from_chatgpt(listed: list[Any], now: int) -> Imported:
    """The conversations; what is no turn is left out and reported."""
    skips, found = Skips(), []
    for number, plain in enumerate(listed, 1):
        title = plain.get("title") if isinstance(plain, Mapping) else None
        where = mended(title).strip() if isinstance(title, str) else ""
        where = where or f"conversation {number}"
        try:
            if not is_chatgpt(plain):
                raise InvalidImport("it is no conversation of ChatGPT")
            found.append(_conversation(plain, where, now, skips))
        except (InvalidImport, InvalidMessage) as error:
            skips.note(where, str(error))
    return Imported(FORMAT, tuple(found), skips.found())


def _conversation(
    plain: Mapping[str, Any], where: str, now: int, skips: Skips
) -> SavedConversation:
    mapping = plain["mapping"]
    if len(mapping) > MOST_TURNS:
        raise InvalidImport(f"it has more than {MOST_TURNS:,} messages")
    first, up = _said(mapping, where, skips)
    nodes, node_of = _turns(first, where, skips)
    if not nodes:
        raise InvalidImport("it has no turn that can be kept")
    tree = Tree(tuple(nodes))
    key: Any = plain.get("current_node")
    while isinstance(key, str) and key not in node_of and key in up:
        key = up[key]
    if isinstance(key, str) and key in node_of:
        tree = tree.select(node_of[key])
    created = milliseconds(plain.get("create_time")) or now
    title = plain.get("title")
    return SavedConversation(
        title=titled([mended(title) if isinstance(title, str) else "", nodes[0].text], most=200),
        created=created,
        updated=milliseconds(plain.get("update_time")) or created,
        tree=tree,
    )


def _said(
    mapping: Mapping[str, Any], where: str, skips: Skips
) -> tuple[list[Said], dict[str, str | None]]:
    """The first of the messages that are kept; and every node's parent, kept or not."""
    children: dict[str | None, list[str]] = {}
    up: dict[str, str | None] = {}
    for key, node in mapping.items():
        parent = node.get("parent") if isinstance(node, Mapping) else None
        up[key] = parent if isinstance(parent, str) and parent in mapping else None
        children.setdefault(up[key], []).append(key)
    for parent, keys in children.items():
        order = mapping[parent].get("children") if parent is not None else None
        if isinstance(order, list):
            places = {key: place for place, key in enumerate(order) if isinstance(key, str)}
            keys.sort(key=lambda key: places.get(key, len(places)))
    first: list[Said] = []
    stack = [(key, first) for key in reversed(children.get(None, []))]
    seen = 0
    while stack:
        key, after = stack.pop()
        seen += 1
        if said := _message(key, mapping[key], where, skips):
            after.append(said)
            after = said.after
        stack += [(child, after) for child in reversed(children.get(key, []))]
    if seen < len(mapping):
        skips.note(where, "messages that follow each other in a circle")
    return first, up


def _message(key: str, node: Any, where: str, skips: Skips) -> Said | None:
    """The message of a node, if it is one that somebody has written or read."""
    message = node.get("message") if isinstance(node, Mapping) else None
    if not isinstance(message, Mapping):
        return None
    author, metadata = message.get("author"), message.get("metadata")
    role = author.get("role") if isinstance(author, Mapping) else None
    hidden = isinstance(metadata, Mapping) and metadata.get("is_visually_hidden_from_conversation")
    content = message.get("content")
    content = content if isinstance(content, Mapping) else {}
    kind = str(content.get("content_type"))[:40]
    if role == "system" or hidden or message.get("weight") == 0:
        if any(content.get("parts") or []) if isinstance(content.get("parts"), list) else kind:
            skips.note(where, "a hidden message")
        return None
    if role not in ("user", "assistant"):
        skips.note(where, f"a message of the role {str(role)[:40]!r}")
    elif message.get("recipient") not in (None, "all"):
        skips.note(where, "a call to a tool")
    elif kind not in TEXTS:
        skips.note(where, f"a message that is no text ({kind})")
    else:
        text = content_text(content.get("parts"), where, skips)
        if text.strip():
            kept_role: TurnRole = "user" if role == "user" else "assistant"
            return Said(key, kept_role, text, milliseconds(message.get("create_time")))
    return None


def _turns(first: list[Said], where: str, skips: Skips) -> tuple[list[Node], dict[str, str]]:
    """The nodes; and for each message that ends a turn the node's id.

    A message is the end of a turn where another role follows or nothing. One that another of its
    role follows begins that one's turn; it may be the beginning of several.
    """
    nodes: list[Node] = []
    node_of: dict[str, str] = {}
    room = 4 * LONGEST_TEXT
    stack: list[tuple[Said, str | None, str]] = [(said, None, "") for said in reversed(first)]
    while stack:
        said, parent, before = stack.pop()
        if said.role == "assistant" and parent is None:
            skips.note(where, "a reply that nobody asked for, at the beginning")
            stack += [(after, None, "") for after in reversed(said.after)]
            continue
        text = f"{before}\n\n{said.text}" if before else said.text
        room -= len(text)
        if room < 0:
            raise InvalidImport(f"it is longer than {4 * LONGEST_TEXT:,} characters")
        turn = parent
        if not said.after or any(after.role != said.role for after in said.after):
            turn = said.key if said.key.isascii() and said.key.isprintable() else new_id()
            turn = turn if 0 < len(turn) <= LONGEST_ID else new_id()
            nodes.append(Node(turn, parent, said.role, text, created=said.created))
            node_of[said.key] = turn
        for after in reversed(said.after):
            same = after.role == said.role
            stack.append((after, parent, text) if same else (after, turn, ""))
    return nodes, node_of
