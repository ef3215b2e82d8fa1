"""Lists of messages as OpenAI's API has them: one, several, or one a line."""

from collections.abc import Mapping
from typing import Any

from glasschat.chat.exchange.plain import LONGEST_TEXT, MOST_TURNS, mended
from glasschat.chat.exchange.report import Imported, Skips
from glasschat.chat.node import Node, TurnRole, new_id
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree, titled

FORMAT = "a list of messages"
SYSTEM_ROLES = ("system", "developer")


def is_messages(value: Any) -> bool:
    """Whether it is one such list."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, Mapping) and "role" in m for m in value[:20])
    )


def from_messages(lists: list[Any], now: int) -> Imported:
    """A conversation for each list; each entry is a list, or an object with `messages`."""
    skips, found = Skips(), []
    for number, entry in enumerate(lists, 1):
        named = entry if isinstance(entry, Mapping) else {"messages": entry}
        title, messages = named.get("title"), named.get("messages")
        where = f"conversation {number}"
        if not isinstance(messages, list) or not is_messages(messages):
            skips.note(where, "it is no list of messages with roles")
            continue
        conversation = _conversation(messages, title, where, now, skips)
        if conversation is not None:
            found.append(conversation)
    return Imported(FORMAT, tuple(found), skips.found())


def _conversation(
    messages: list[Any], title: Any, where: str, now: int, skips: Skips
) -> SavedConversation | None:
    system: list[str] = []
    turns: list[tuple[TurnRole, str]] = []
    for message in messages[:MOST_TURNS]:
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in (*SYSTEM_ROLES, "user", "assistant"):
            skips.note(where, f"a message of the role {str(role)[:40]!r}")
            continue
        text = content_text(message.get("content"), where, skips)
        if not text.strip():
            skips.note(where, f"an empty {role} message")
        elif role in SYSTEM_ROLES:
            if turns:
                skips.note(where, "a system message amid the chat")
            else:
                system.append(text)
        elif role == "assistant" and not turns:
            skips.note(where, "a reply that nobody asked for, at the beginning")
        elif turns and turns[-1][0] == role:
            skips.note(where, f"a border between two {role} messages in a row: they are one now")
            turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n\n{text}"[:LONGEST_TEXT])
        else:
            turns.append(("user" if role == "user" else "assistant", text))
    if len(messages) > MOST_TURNS:
        skips.note(where, f"what is beyond {MOST_TURNS:,} messages")
    if not turns:
        skips.note(where, "it has no turn that can be kept")
        return None
    nodes: list[Node] = []
    for role, text in turns:
        parent = nodes[-1].id if nodes else None
        nodes.append(Node(new_id(), parent, role, text, created=now))
    given = mended(title) if isinstance(title, str) else ""
    return SavedConversation(
        title=titled([given, turns[0][1]], most=200 if given.strip() else 60),
        created=now,
        updated=now,
        system="\n\n".join(system)[:LONGEST_TEXT],
        tree=Tree(tuple(nodes)),
    )


def content_text(content: Any, where: str, skips: Skips) -> str:
    """The text of a content, which is one, or a list of parts of which some are no text."""
    pieces = []
    for part in content if isinstance(content, list) else [content]:
        text = part.get("text") if isinstance(part, Mapping) else part
        if isinstance(text, str):
            pieces.append(mended(text))
        elif part is not None:
            named = part if isinstance(part, Mapping) else {}
            kind = named.get("type") or named.get("content_type") or type(part).__name__
            skips.note(where, f"a part of a message that is no text ({str(kind)[:40]})")
    joined = "\n\n".join(pieces)
    if len(joined) > LONGEST_TEXT:
        skips.note(where, f"what is beyond {LONGEST_TEXT:,} characters of a message")
    return joined[:LONGEST_TEXT]
