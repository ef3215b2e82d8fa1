"""Our own file: whole trees with ids, settings and figures, which come back identical.

Deleted branches stay at home: who deleted something does not hand it on.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from glasschat.chat.exchange.plain import (
    LATEST_MS,
    list_of,
    mapping_of,
    number_of,
    text_of,
    whole_of,
)
from glasschat.chat.exchange.report import Imported, Skips
from glasschat.chat.node import LONGEST_ID, Ending, Node, Origin, Run
from glasschat.chat.params_json import origin_as_json, params_as_json, params_from_json
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree
from glasschat.engine import Timings, Usage
from glasschat.errors import GlasschatError, InvalidImport
from glasschat.sampling import SamplingParams

FORMAT = "glasschat"
VERSION = 1
MOST_CONVERSATIONS = 100_000
MOST_IDS = 2_000_000
LONGEST_TITLE = 1000


def as_json(conversations: Iterable[SavedConversation]) -> str:
    """The file for these conversations."""
    plain = {
        "format": FORMAT,
        "version": VERSION,
        "conversations": [_conversation(c) for c in conversations],
    }
    return json.dumps(plain, ensure_ascii=False, indent=1)


def from_json(plain: Mapping[str, Any]) -> Imported:
    """The conversations of such a file; what is malformed is left out and reported.

    Raises InvalidImport for a file of a newer version.
    """
    version = whole_of(plain, "version", 2**31)
    if version > VERSION:
        raise InvalidImport(
            f"the file is of version {version} and this glasschat reads up to {VERSION}: update it"
        )
    skips, found = Skips(), []
    listed = list_of(plain.get("conversations"), "conversations", MOST_CONVERSATIONS)
    for number, item in enumerate(listed, 1):
        try:
            found.append(_read_conversation(mapping_of(item, "a conversation")))
        except GlasschatError as error:
            skips.note(f"conversation {number}", str(error))
    return Imported("glasschat", tuple(found), skips.found())


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
    return {
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


def _read_conversation(plain: Mapping[str, Any]) -> SavedConversation:
    nodes: list[Node] = []
    chosen: dict[str | None, str] = {}
    if (first := _optional(plain, "open")) is not None:
        chosen[None] = first
    for item in list_of(plain.get("turns"), "turns"):
        node = _read_node(mapping_of(item, "a turn"))
        nodes.append(node)
        if (child := _optional(item, "open")) is not None:
            chosen[node.id] = child
    tree = Tree(tuple(nodes), chosen)
    for parent, child in chosen.items():
        if child not in tree or tree[child].parent != parent:
            raise InvalidImport(f"the open turn {child[:80]!r} is not where it is said to be")
    conversation_id, title = text_of(plain, "id"), text_of(plain, "title")
    if len(title) > LONGEST_TITLE:
        raise InvalidImport(f"a title has at most {LONGEST_TITLE:,} characters")
    if not 0 < len(conversation_id) <= LONGEST_ID:
        raise InvalidImport(f"an id has 1 to {LONGEST_ID} characters")
    return SavedConversation(
        id=conversation_id,
        title=title,
        pinned=plain.get("pinned") is True,
        created=whole_of(plain, "created", LATEST_MS),
        updated=whole_of(plain, "updated", LATEST_MS),
        system=text_of(plain, "system"),
        params=None if plain.get("params") is None else _params(plain),
        tree=tree,
    )


def _read_node(plain: Mapping[str, Any]) -> Node:
    ids = plain.get("ids")
    role = text_of(plain, "role")
    return Node(
        id=text_of(plain, "id"),
        parent=_optional(plain, "parent"),
        role=role,  # type: ignore[arg-type]  # Node refuses any other
        text=text_of(plain, "text"),
        ids=None if ids is None else _ids(list_of(ids, "ids", MOST_IDS)),
        created=whole_of(plain, "created", LATEST_MS),
        runs=tuple(
            _read_run(mapping_of(run, "a run")) for run in list_of(plain.get("runs"), "runs", 1000)
        ),
    )


def _ids(ids: list[Any]) -> tuple[int, ...]:
    if not all(type(i) is int and 0 <= i < 2**32 for i in ids):
        raise InvalidImport("ids holds something that is no token id")
    return tuple(ids)


def _read_run(plain: Mapping[str, Any]) -> Run:
    ending = _optional(plain, "ending")
    if ending is not None and ending not in list(Ending):
        raise InvalidImport(f"a run ends by {', '.join(Ending)}, not {ending[:80]!r}")
    usage, timings = (
        mapping_of(plain.get("usage"), "usage"),
        mapping_of(plain.get("timings"), "timings"),
    )
    return Run(
        params=_params(plain),
        origin=origin_from_json(mapping_of(plain.get("origin"), "origin")),
        first_token=whole_of(plain, "first_token", 2**31 - 1),
        created=whole_of(plain, "created", LATEST_MS),
        ending=None if ending is None else Ending(ending),
        error=_optional(plain, "error"),
        seed=None if plain.get("seed") is None else whole_of(plain, "seed", 2**64 - 1),
        usage=Usage(
            *(
                whole_of(usage, name, 2**31 - 1)
                for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
            )
        ),
        timings=Timings(
            *(number_of(timings, name) for name in ("ttft_s", "prefill_tps", "decode_tps"))
        ),
    )


def origin_from_json(plain: Mapping[str, Any]) -> Origin:
    """Where a reply comes from. Raises InvalidImport."""
    versions = mapping_of(plain.get("versions"), "versions")
    return Origin(
        text_of(plain, "model"),
        text_of(plain, "model_fingerprint"),
        text_of(plain, "template_fingerprint"),
        {name: text_of(versions, name) for name in list(versions)[:100]},
    )


def _params(plain: Mapping[str, Any]) -> SamplingParams:
    return params_from_json(mapping_of(plain.get("params"), "params"))


def _optional(plain: Mapping[str, Any], name: str) -> str | None:
    return None if plain.get(name) is None else text_of(plain, name)
