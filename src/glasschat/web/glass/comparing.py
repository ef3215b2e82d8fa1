"""Replies to the same question side by side: their settings, their texts, their odds."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from glasschat.backends import Readiness
from glasschat.chat import Node
from glasschat.chat.presets import TASTE, built_in
from glasschat.errors import InvalidMessage
from glasschat.sampling import SamplingParams
from glasschat.web.error_text import explained
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.odds import cell, start_reading
from glasschat.web.glass.params_patch import ALLOWED, KNOBS, described_knob
from glasschat.web.glass.queries import state
from glasschat.web.glass.remote_reply import name_of
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.glass.token_text import Name
from glasschat.web.model_choice import shown_name
from glasschat.web.settings.fields import label, written
from glasschat.web.settings.preset_choice import shown_name as preset_name

Key = int | str | bytes
ASKED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")

MOST = 4
LONGEST = 4000
"""Tokens of a reply that are aligned with another; to align more takes too long."""


def siblings(reply: ReplyUnderGlass) -> dict[str, Any]:
    """All replies to the question; the models and presets that new ones may be asked with."""
    beside = reply.conversation.tree.siblings(reply.node.id)
    described = reply.site.backend.describe()
    presets = (
        *built_in(described.recommended),
        *reply.site.presets.of(reply.conversation.owner),
    )
    told = _differences(beside)
    return {
        "here": reply.node.id,
        "replies": [
            {"turn": node.id, "settings": settings, "start": node.text[:60]}
            for node, settings in zip(beside, told, strict=True)
        ],
        "presets": [
            {"name": preset_name(preset), "values": _plain(preset.params)} for preset in presets
        ],
        "knobs": [described_knob(knob) for knob in KNOBS if knob.name in ASKED],
        "models": [
            {"name": name, "label": shown_name(reply.site, name)}
            for name, backend in reply.site.named.items()
            if backend.describe().readiness is Readiness.READY
        ],
        "most": MOST,
    }


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """What of a preset tells replies apart; its taste where it does not name one."""
    defaults = SamplingParams()
    values = {name: params.get(name, getattr(defaults, name)) for name in TASTE if name in ALLOWED}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def side_by_side(reply: ReplyUnderGlass, asked: Mapping[str, str]) -> dict[str, Any]:
    """The replies whose turns are asked for, with what they share and how likely each was.

    `odds` has a row for each reply: what it would have cost under the settings of each, and for
    another model too, where that has read it.
    """
    found = _chosen(reply, asked)
    keys = _keys(found)
    told = _differences([one.node for one in found])
    ended = all(one.growing is None for one in found)
    return {
        "growing": not ended,
        "replies": [
            {
                "turn": one.node.id,
                "state": state(one.growing),
                "settings": told[number],
                "tokens": _tokens(one),
                "same": _same(keys[0], keys[number]) if number else [],
                "diverges": _diverges(keys[0], keys[number], ended=ended) if number else None,
                "error": _error(one.node),
            }
            for number, one in enumerate(found)
        ],
        "odds": [[cell(one, other) for other in found] for one in found] if ended else None,
    }


def read_each_other(reply: ReplyUnderGlass, asked: Mapping[str, str]) -> dict[str, Any]:
    """Have the models of these replies read the others' that they can read.

    Raises PromptError, EngineError.
    """
    found = _chosen(reply, asked)
    for one in found:
        for other in found:
            start_reading(one, other)
    return {}


def _chosen(reply: ReplyUnderGlass, asked: Mapping[str, str]) -> list[ReplyUnderGlass]:
    turns = list(dict.fromkeys(str(asked.get("turns", "")).split(",")))
    if not 1 < len(turns) <= MOST:
        raise InvalidMessage(f"two to {MOST} replies are compared, not {len(turns)}")
    beside = {node.id for node in reply.conversation.tree.siblings(reply.node.id)}
    if not beside.issuperset(turns):
        raise InvalidMessage("only replies to the same question are compared")
    owner, conversation = reply.conversation.owner, reply.conversation.id
    return [ReplyUnderGlass(reply.site, Subject(owner, conversation, turn)) for turn in turns]


def _keys(replies: Sequence[ReplyUnderGlass]) -> list[tuple[Key, ...]]:
    """What tells their tokens apart: ids, or names where the ids are not of one model."""
    writers = {run.origin.model_fingerprint for one in replies for run in one.node.runs}
    if len(writers) == 1 and not any(one.told for one in replies):
        return [tuple(i for stretch in one.stretches for i in stretch.ids) for one in replies]
    return [tuple(n if isinstance(n, str) else bytes(n) for n in _tokens(one)) for one in replies]


def _tokens(reply: ReplyUnderGlass) -> list[Name]:
    return [
        name
        for stretch in reply.stretches
        for name in (
            map(reply.names, stretch.ids)
            if stretch.told is None
            else map(name_of, stretch.told.steps)
        )
    ]


def _error(node: Node) -> str | None:
    error = node.runs[-1].error if node.runs else None
    return explained(error) if error else None


def _differences(replies: Sequence[Node]) -> list[str]:
    """The model and the settings of each that are not the same for all; some where none differs."""
    runs = [node.runs[-1] if node.runs else None for node in replies]
    names = [name for name in (*TASTE, "seed") if name in ALLOWED and name != "stages"]
    differing = [
        name
        for name in names
        if len({getattr(run.params, name) for run in runs if run is not None}) > 1
    ]
    models = {run.origin.model for run in runs if run is not None}
    shown = differing or ([] if len(models) > 1 else ["temperature", "top_p"])
    return [
        " · ".join(
            [
                *([run.origin.model] if len(models) > 1 else []),
                *(f"{label(name)} {written(name, getattr(run.params, name))}" for name in shown),
            ]
        )
        if run is not None
        else ""
        for run in runs
    ]


def _diverges(one: tuple[Key, ...], other: tuple[Key, ...], *, ended: bool) -> int | None:
    """The first place where they are not the same; None where they are, as far as they are."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other)) if ended and len(one) != len(other) else None


def _same(one: tuple[Key, ...], other: tuple[Key, ...]) -> list[list[int]]:
    """Pairs of bounds of what `other` has in common with `one`, in order."""
    matcher = SequenceMatcher(None, one[:LONGEST], other[:LONGEST], autojunk=False)
    return [[m.b, m.b + m.size] for m in matcher.get_matching_blocks() if m.size]
