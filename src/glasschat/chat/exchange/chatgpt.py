"""ChatGPT's conversations.json: trees of messages, with much between them that is no turn.

Each conversation has a `mapping` of nodes with a parent, children in order, and a message or
none. Messages to and from tools, hidden ones and the model's thoughts are left out; what one role
said before and after them becomes one turn. A value that is not of its kind is as if it were
missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from glasschat.chat.exchange.field_types import LONGEST_TEXT
from glasschat.chat.exchange.file_model import MOST_TURNS, FileModel
from glasschat.chat.exchange.lenient import LENIENT, MendedText, Milliseconds, mend_surrogates
from glasschat.chat.exchange.message_lists import content_text
from glasschat.chat.exchange.report import Imported, Skips
from glasschat.chat.node import LONGEST_ID, Node, TurnRole, new_id
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree, title_from
from glasschat.errors import InvalidImport, InvalidMessage
from glasschat.messages import Message

FORMAT = "ChatGPT's conversations.json"
TEXT_TYPES = ("text", "multimodal_text")


class Author(FileModel):
    """The author of a message, known by a role."""

    role: Any


class Metadata(FileModel):
    """What else is known of a message."""

    is_visually_hidden_from_conversation: Any


class Content(FileModel):
    """The content of a message: its type and its parts."""

    content_type: Any
    parts: Any


class ExportedMessage(FileModel):
    """A message, to or from anyone."""

    author: Annotated[Author | None, LENIENT]
    metadata: Annotated[Metadata | None, LENIENT]
    content: Annotated[Content | None, LENIENT]
    weight: Any
    recipient: Any
    create_time: Milliseconds


class MappingNode(FileModel):
    """A node of the tree. `parent` and `children` are keys of the mapping, where they are any."""

    parent: Any
    children: Annotated[list[Any] | None, LENIENT]
    message: Annotated[ExportedMessage | None, LENIENT]


class Conversation(FileModel):
    """One conversation of the file."""

    title: MendedText
    mapping: dict[Any, Annotated[MappingNode | None, LENIENT]]
    current_node: Any
    create_time: Milliseconds
    update_time: Milliseconds


@dataclass(slots=True)
class KeptMessage:
    """A message that becomes part of a turn, and those kept ones that follow it."""

    key: str
    role: TurnRole
    text: str
    created: int
    following: list["KeptMessage"] = field(default_factory=list)


def is_chatgpt(value: Any) -> bool:
    """Return whether it is one conversation of such a file."""
    return isinstance(value, Mapping) and isinstance(value.get("mapping"), Mapping)


def from_chatgpt(listed: list[Any], now: int) -> Imported:
    """Return the conversations; what is no turn is left out and reported.

    `now`, in milliseconds since 1970, is when a conversation without a time began.
    """
    skips, found = Skips(), []
    for number, plain in enumerate(listed, 1):
        title = plain.get("title") if isinstance(plain, Mapping) else None
        where = mend_surrogates(title).strip() or f"conversation {number}"
        try:
            if not is_chatgpt(plain):
                raise InvalidImport("it is no conversation of ChatGPT")
            if len(plain["mapping"]) > MOST_TURNS:
                raise InvalidImport(
                    "it has more than {most_turns:,} messages", most_turns=MOST_TURNS
                )
            conversation = Conversation.model_validate(plain)
            found.append(_read_conversation(conversation, where, now, skips))
        except (InvalidImport, InvalidMessage) as error:
            skips.note(where, error.message)
    return Imported(FORMAT, tuple(found), skips.found())


def _read_conversation(
    conversation: Conversation, where: str, now: int, skips: Skips
) -> SavedConversation:
    first, parents = _kept_messages(conversation.mapping, where, skips)
    nodes, node_of = _build_turns(first, where, skips)
    if not nodes:
        raise InvalidImport("it has no turn that can be kept")
    tree = Tree(tuple(nodes))
    # The message that was open last may be one that is not kept: then the nearest above it.
    key = conversation.current_node
    while isinstance(key, str) and key not in node_of and key in parents:
        key = parents[key]
    if isinstance(key, str) and key in node_of:
        tree = tree.select(node_of[key])
    created = conversation.create_time or now
    return SavedConversation(
        title=title_from([conversation.title, nodes[0].text], most=200),
        created=created,
        updated=conversation.update_time or created,
        tree=tree,
    )


def _kept_messages(
    mapping: Mapping[str, MappingNode | None], where: str, skips: Skips
) -> tuple[list[KeptMessage], dict[str, str | None]]:
    """Return the first of the messages that are kept, and every node's parent, kept or not."""
    children: dict[str | None, list[str]] = {}
    parents: dict[str, str | None] = {}
    for key, node in mapping.items():
        parent = node.parent if node is not None else None
        parents[key] = parent if isinstance(parent, str) and parent in mapping else None
        children.setdefault(parents[key], []).append(key)
    for parent, keys in children.items():
        above = None if parent is None else mapping[parent]
        if above is not None and above.children is not None:
            _sort_by(above.children, keys)
    first: list[KeptMessage] = []
    stack = [(key, first) for key in reversed(children.get(None, []))]
    seen = 0
    while stack:
        key, following = stack.pop()
        seen += 1
        node = mapping[key]
        message = node.message if node is not None else None
        if message is not None and (kept := _keep_message(key, message, where, skips)):
            following.append(kept)
            following = kept.following
        stack += [(child, following) for child in reversed(children.get(key, []))]
    if seen < len(mapping):
        skips.note(where, Message("messages that follow each other in a circle"))
    return first, parents


def _sort_by(order: list[Any], keys: list[str]) -> None:
    """Sort `keys` as they stand in `order`, those that do not last."""
    places = {key: place for place, key in enumerate(order) if isinstance(key, str)}
    keys.sort(key=lambda key: places.get(key, len(places)))


def _keep_message(
    key: str, message: ExportedMessage, where: str, skips: Skips
) -> KeptMessage | None:
    """Return a message that somebody has written or read, None for any other."""
    role = message.author.role if message.author else None
    hidden = message.metadata and message.metadata.is_visually_hidden_from_conversation
    parts = message.content.parts if message.content else None
    kind = str(message.content.content_type if message.content else None)[:40]
    if role == "system" or hidden or message.weight == 0:
        if any(parts) if isinstance(parts, list) else kind:
            skips.note(where, Message("a hidden message"))
        return None
    if role not in ("user", "assistant"):
        skips.note(where, Message("a message of the role {role}", role=repr(str(role)[:40])))
    elif message.recipient not in (None, "all"):
        skips.note(where, Message("a call to a tool"))
    elif kind not in TEXT_TYPES:
        skips.note(where, Message("a message that is no text ({kind})", kind=kind))
    else:
        text = content_text(parts, where, skips)
        if text.strip():
            kept_role: TurnRole = "user" if role == "user" else "assistant"
            return KeptMessage(key, kept_role, text, message.create_time)
    return None


def _build_turns(
    first: list[KeptMessage], where: str, skips: Skips
) -> tuple[list[Node], dict[str, str]]:
    """Return the turns, and for each message that ends a turn the turn's id.

    A message is the end of a turn where another role follows or nothing. One that another of its
    role follows begins that one's turn; it may be the beginning of several.
    """
    nodes: list[Node] = []
    node_of: dict[str, str] = {}
    room = 4 * LONGEST_TEXT
    stack: list[tuple[KeptMessage, str | None, str]] = [
        (kept, None, "") for kept in reversed(first)
    ]
    while stack:
        kept, parent, before = stack.pop()
        if kept.role == "assistant" and parent is None:
            skips.note(where, Message("a reply that nobody asked for, at the beginning"))
            stack += [(after, None, "") for after in reversed(kept.following)]
            continue
        text = f"{before}\n\n{kept.text}" if before else kept.text
        room -= len(text)
        if room < 0:
            raise InvalidImport("it is longer than {most:,} characters", most=4 * LONGEST_TEXT)
        turn = parent
        if not kept.following or any(after.role != kept.role for after in kept.following):
            turn = kept.key if kept.key.isascii() and kept.key.isprintable() else new_id()
            turn = turn if 0 < len(turn) <= LONGEST_ID else new_id()
            nodes.append(Node(turn, parent, kept.role, text, created=kept.created))
            node_of[kept.key] = turn
        for after in reversed(kept.following):
            same = after.role == kept.role
            stack.append((after, parent, text) if same else (after, turn, ""))
    return nodes, node_of
