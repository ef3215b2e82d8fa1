"""Lists of messages as OpenAI's API has them: one, several, or one a line."""

from collections.abc import Mapping
from typing import Annotated, Any

from glasschat.chat.exchange.field_types import LONGEST_TEXT
from glasschat.chat.exchange.file_model import MOST_TURNS, FileModel
from glasschat.chat.exchange.lenient import LENIENT, MendedText, mend_surrogates
from glasschat.chat.exchange.report import Imported, Skips
from glasschat.chat.node import Node, TurnRole, new_id
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree, title_from
from glasschat.messages import Message

FORMAT = "a list of messages"
SYSTEM_ROLES = ("system", "developer")


class ListedMessage(FileModel):
    """A message of OpenAI's API."""

    role: Any
    content: Any


class ContentPart(FileModel):
    """A part of a content; only one of the type `text` has a text."""

    text: Any
    type: Any
    content_type: Any


class MessageList(FileModel):
    """One conversation. `messages` is the list, null where there is none."""

    title: MendedText
    messages: Annotated[list[Any] | None, LENIENT]


def is_messages(value: Any) -> bool:
    """Return whether it is one such list; its first messages are enough to tell."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, Mapping) and "role" in m for m in value[:20])
    )


def from_messages(lists: list[Any], now: int) -> Imported:
    """Return a conversation for each list.

    Each entry is a list, or an object with `messages`. `now` is when they began, in milliseconds
    since 1970.
    """
    skips, found = Skips(), []
    for number, entry in enumerate(lists, 1):
        named = entry if isinstance(entry, Mapping) else {"messages": entry}
        where = f"conversation {number}"
        conversation = MessageList.model_validate(named)
        if not is_messages(conversation.messages):
            skips.note(where, Message("it is no list of messages with roles"))
            continue
        saved = _read_conversation(conversation, where, now, skips)
        if saved is not None:
            found.append(saved)
    return Imported(FORMAT, tuple(found), skips.found())


def _read_conversation(
    conversation: MessageList, where: str, now: int, skips: Skips
) -> SavedConversation | None:
    system: list[str] = []
    turns: list[tuple[TurnRole, str]] = []
    messages = conversation.messages or []
    for plain in messages[:MOST_TURNS]:
        message = ListedMessage.model_validate(plain if isinstance(plain, Mapping) else {})
        role = message.role
        if role not in (*SYSTEM_ROLES, "user", "assistant"):
            skips.note(where, Message("a message of the role {role}", role=repr(str(role)[:40])))
            continue
        text = content_text(message.content, where, skips)
        if not text.strip():
            skips.note(where, Message("an empty {role} message", role=role))
        elif role in SYSTEM_ROLES:
            if turns:
                skips.note(where, Message("a system message amid the chat"))
            else:
                system.append(text)
        elif role == "assistant" and not turns:
            skips.note(where, Message("a reply that nobody asked for, at the beginning"))
        elif turns and turns[-1][0] == role:
            skips.note(
                where,
                Message(
                    "a border between two {role} messages in a row: they are one now", role=role
                ),
            )
            turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n\n{text}"[:LONGEST_TEXT])
        else:
            turns.append(("user" if role == "user" else "assistant", text))
    if len(messages) > MOST_TURNS:
        skips.note(where, Message("what is beyond {most_turns:,} messages", most_turns=MOST_TURNS))
    if not turns:
        skips.note(where, Message("it has no turn that can be kept"))
        return None
    nodes: list[Node] = []
    for role, text in turns:
        parent = nodes[-1].id if nodes else None
        nodes.append(Node(new_id(), parent, role, text, created=now))
    title = conversation.title
    return SavedConversation(
        title=title_from([title, turns[0][1]], most=200 if title.strip() else 60),
        created=now,
        updated=now,
        system="\n\n".join(system)[:LONGEST_TEXT],
        tree=Tree(tuple(nodes)),
    )


def content_text(content: Any, where: str, skips: Skips) -> str:
    """Return the text of a content: a text, or a list of parts of which some are no text."""
    pieces = []
    for plain in content if isinstance(content, list) else [content]:
        part = ContentPart.model_validate(plain if isinstance(plain, Mapping) else {})
        text = part.text if isinstance(plain, Mapping) else plain
        if isinstance(text, str):
            pieces.append(mend_surrogates(text))
        elif plain is not None:
            kind = part.type or part.content_type or type(plain).__name__
            skips.note(
                where, Message("a part of a message that is no text ({kind})", kind=str(kind)[:40])
            )
    joined = "\n\n".join(pieces)
    if len(joined) > LONGEST_TEXT:
        skips.note(
            where,
            Message(
                "what is beyond {longest_text:,} characters of a message", longest_text=LONGEST_TEXT
            ),
        )
    return joined[:LONGEST_TEXT]
