"""Small files of every kind that is imported, spoilt in one place each, and what became of each.

This uses no name of glasschat but those of its outer functions, so that an earlier version can be
asked the same.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

MISSING = object()
VALUES: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "-1": -1,
    "2**70": 2**70,
    "1.5": 1.5,
    "'x'": "x",
    "''": "",
    "half": "\ud800",
    "[]": [],
    "{}": {},
    "[null]": [None],
    "{'x': 1}": {"x": 1},
}

Steps = tuple[Any, ...]


def mutations(plain: Any) -> Iterator[tuple[str, Any]]:
    """Every copy of `plain` in which one value is another or is not there, with its label."""
    for steps in places(plain):
        for label, value in VALUES.items():
            changed = copy.deepcopy(plain)
            inner = changed
            for step in steps[:-1]:
                inner = inner[step]
            if value is MISSING:
                del inner[steps[-1]]
            else:
                inner[steps[-1]] = value
            yield ".".join(map(str, steps)) + "=" + label, changed


def places(plain: Any, above: Steps = ()) -> Iterator[Steps]:
    """The ways to every value in it; of long lists to the first and the last."""
    inner: list[Any] = []
    if isinstance(plain, dict):
        inner = list(plain)
    elif isinstance(plain, list):
        inner = [*range(len(plain))][:1] + [*range(len(plain))][1:][-1:]
    for step in inner:
        yield (*above, step)
        yield from places(plain[step], (*above, step))


def import_report(import_file: Callable[..., Any], plain: Any, refusal: type[Exception]) -> str:
    """What the import of one file brings and says, on one line."""
    try:
        found = import_file(json.dumps(plain).encode(), now=5)
    except refusal as error:
        return f"refused: {error}"
    chats = [
        [
            (c.title, c.system, c.pinned, c.created, c.updated),
            [(n.role, n.text, n.created, n.ids) for n in c.tree.nodes],
            [n.text for n in c.tree.path],
            [(r.seed, r.error, r.ending, r.usage.prompt_tokens, r.timings.ttft_s)
             for n in c.tree.nodes for r in n.runs],
        ]
        for c in found.conversations
    ]  # fmt: skip
    skipped = [f"{s.where}: {s.why} ({s.count})" for s in found.skipped]
    return f"{skipped} {chats}"


def presets_report(
    read: Callable[[bytes], Any],
    as_json: Callable[[Any], Any],
    plain: Any,
    refusal: type[Exception],
) -> str:
    """What the reading of one presets file brings and says, on one line."""
    try:
        found = read(json.dumps(plain).encode())
    except refusal as error:
        return f"refused: {error}"
    presets = [(preset.name, sorted(as_json(preset).items())) for preset in found.presets]
    return f"{[f'{s.where}: {s.why} ({s.count})' for s in found.skipped]} {presets}"


def trace_report(
    read: Callable[[list[bytes]], Any], plain: list[Any], refusal: type[Exception]
) -> str:
    """What the reading of one trace file brings and says, on one line."""
    try:
        found = read([json.dumps(line).encode() for line in plain])
    except refusal as error:
        return f"refused: {error}"
    trace = found.trace
    prompt = trace.prompt
    spans = [(s.start, s.end, s.origin, s.message) for s in prompt.spans]
    return (
        f"{trace.texts} {trace.seed} {sorted(trace.end_ids)} {trace.vocab_size} {prompt.ids} "
        f"{spans} {prompt.left_out} {dict(found.pieces)} {found.origin.model!r} "
        f"{[trace.record(place).as_json() for place in range(len(trace))]}"
    )


CHATGPT = [
    {
        "title": "A chat",
        "create_time": 1.5,
        "update_time": 2.25,
        "current_node": "b",
        "mapping": {
            "root": {"parent": None, "children": ["q"], "message": None},
            "q": {
                "parent": "root",
                "children": ["b", "a"],
                "message": {
                    "author": {"role": "user"},
                    "create_time": 12.5,
                    "content": {"content_type": "text", "parts": ["why?"]},
                    "weight": 1.0,
                    "metadata": {"is_visually_hidden_from_conversation": False},
                    "recipient": "all",
                },
            },
            "a": {
                "parent": "q",
                "children": [],
                "message": {
                    "author": {"role": "assistant"},
                    "content": {
                        "content_type": "multimodal_text",
                        "parts": ["first", {"content_type": "image_asset_pointer"}],
                    },
                },
            },
            "b": {
                "parent": "q",
                "children": [],
                "message": {
                    "author": {"role": "assistant"},
                    "content": {"content_type": "text", "parts": ["second"]},
                },
            },
        },
    }
]

MESSAGES = [
    {
        "title": "A list",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "why?"}]},
            {"role": "assistant", "content": "because"},
        ],
    }
]
