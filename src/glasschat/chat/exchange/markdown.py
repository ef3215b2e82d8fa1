"""Export of a conversation's open path as Markdown, for reading."""

from datetime import UTC, datetime

from glasschat.chat.node import Ending, Node
from glasschat.chat.saved import SavedConversation

ENDINGS = {
    Ending.LENGTH: "cut at its length",
    Ending.CANCELLED: "stopped",
    Ending.ERROR: "failed",
    Ending.INTERRUPTED: "interrupted",
    None: "still being written",
}


def as_markdown(conversation: SavedConversation) -> str:
    """Return title, system prompt and the turns of the open path; texts are not escaped."""
    title = " ".join(conversation.title.split()) or "Chat"
    parts = [f"# {title}"]
    if conversation.created:
        when = datetime.fromtimestamp(conversation.created / 1000, UTC)
        parts.append(f"*{when:%Y-%m-%d %H:%M} UTC*")
    if conversation.system.strip():
        lines = conversation.system.strip().splitlines()
        parts.append("\n".join(["> **System prompt**", ">", *(f"> {line}" for line in lines)]))
    for node in conversation.tree.path:
        parts += [_heading(node), node.text.strip("\n")]
    return "\n\n".join(parts) + "\n"


def _heading(node: Node) -> str:
    if node.role == "user":
        return "## You"
    notes = []
    if node.runs:
        last = node.runs[-1]
        notes = [last.origin.model] if last.origin.model else []
        if last.ending in ENDINGS:
            notes.append(ENDINGS[last.ending])
    return "## Assistant" + (f" ({', '.join(notes)})" if notes else "")
