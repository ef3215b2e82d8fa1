"""The export of whole chats: trees with ids, settings and figures, which come back identical.

Deleted branches are not exported: whoever deleted something does not hand it on. `json_import.py`
reads such a file.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from glasschat.chat.node import Node, Run
from glasschat.chat.params_json import origin_as_json, params_as_json
from glasschat.chat.saved import SavedConversation
from glasschat.messages import Message

FORMAT = "glasschat"
VERSION = 1


def as_json(conversations: Iterable[SavedConversation]) -> str:
    """Return the file for these conversations."""
    plain = {
        "format": FORMAT,
        "version": VERSION,
        "conversations": [_conversation(c) for c in conversations],
    }
    return json.dumps(plain, ensure_ascii=False, indent=1)


def _conversation(conversation: SavedConversation) -> dict[str, Any]:
    tree = conversation.tree.pruned()
    return {
        "id": conversation.id,
        "title": conversation.title,
        "pinned": conversation.pinned,
        "created": conversation.created,
        "updated": conversation.updated,
        "system": conversation.system,
        "params": None if conversation.params is None else params_as_json(conversation.params),
        "open": tree.chosen.get(None),
        "turns": [_node(node, tree.chosen.get(node.id)) for node in tree.nodes],
    }


def _node(node: Node, chosen: str | None) -> dict[str, Any]:
    return {
        "id": node.id,
        "parent": node.parent,
        "role": node.role,
        "text": node.text,
        "ids": None if node.ids is None else list(node.ids),
        "created": node.created,
        "open": chosen,
        "runs": [_run(run) for run in node.runs],
    }


def _run(run: Run) -> dict[str, Any]:
    plain = {
        "params": params_as_json(run.params),
        "origin": origin_as_json(run.origin),
        "first_token": run.first_token,
        "created": run.created,
        "ending": run.ending,
        "error": run.error,
        "seed": run.seed,
        "usage": asdict(run.usage),
        "timings": asdict(run.timings),
    }
    if isinstance(run.error, Message):
        # Beside the line, which is all that other programs and older versions read.
        plain["message"] = run.error.to_json()
    return plain
