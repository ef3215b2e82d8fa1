"""Replies to the same question side by side: their settings, their texts, their odds."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from glasschat.chat import Node
from glasschat.chat.presets import TASTE, built_in
from glasschat.errors import InvalidMessage
from glasschat.glass import Trace, odds_under
from glasschat.sampling import SamplingParams
from glasschat.web.explaining import explained
from glasschat.web.glass.boxes import Subject
from glasschat.web.glass.changing import ALLOWED, KNOBS, described_knob
from glasschat.web.glass.elsewhere import name_of
from glasschat.web.glass.names import Name
from glasschat.web.glass.questions import state
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.settings.fields import label, written
from glasschat.web.settings.preset_choice import shown_name

Key = int | str
ASKED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")

MOST = 4
LONGEST = 4000
"""Tokens of a reply that are aligned with another; to align more takes too long."""


def siblings(reply: ReplyUnderGlass) -> dict[str, Any]:
    """All replies to the question, and the presets that new ones may be asked with."""
    beside = reply.conversation.tree.siblings(reply.node.id)
    described = reply.site.backend.describe()
    presets = (
        *built_in(described.recommended),
        *reply.site.presets.of(reply.conversation.owner),
    )
    told = _differences([node.runs[-1].params if node.runs else None for node in beside])
    return {
        "here": reply.node.id,
        "replies": [
            {"turn": node.id, "settings": settings, "start": node.text[:60]}
            for node, settings in zip(beside, told, strict=True)
        ],
        "presets": [
            {"name": shown_name(preset), "values": _plain(preset.params)} for preset in presets
        ],
        "knobs": [described_knob(knob) for knob in KNOBS if knob.name in ASKED],
        "most": MOST,
    }


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """What of a preset tells replies apart; its taste where it does not name one."""
    defaults = SamplingParams()
    values = {name: params.get(name, getattr(defaults, name)) for name in TASTE if name in ALLOWED}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def side_by_side(reply: ReplyUnderGlass, asked: Mapping[str, str]) -> dict[str, Any]:
    """The replies whose turns are asked for, with what they share and how likely each was.

    `odds` has a row for each reply: what it would have cost under the settings of each.
    """
    turns = list(dict.fromkeys(asked.get("turns", "").split(",")))
    if not 1 < len(turns) <= MOST:
        raise InvalidMessage(f"two to {MOST} replies are compared, not {len(turns)}")
    beside = {node.id for node in reply.conversation.tree.siblings(reply.node.id)}
    if not beside.issuperset(turns):
        raise InvalidMessage("only replies to the same question are compared")
    owner, conversation = reply.conversation.owner, reply.conversation.id
    found = [ReplyUnderGlass(reply.site, Subject(owner, conversation, turn)) for turn in turns]
    keys = [_keys(one) for one in found]
    told = _differences([_params(one.node) for one in found])
    ended = all(one.generation is None for one in found)
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
        "odds": [[_odds(one, other) for other in found] for one in found] if ended else None,
    }


def _keys(reply: ReplyUnderGlass) -> tuple[Key, ...]:
    """What tells tokens apart: their ids, or the texts that another server told."""
    return tuple(
        key
        for stretch in reply.stretches
        for key in (stretch.ids if stretch.told is None else (s.text for s in stretch.told.steps))
    )


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


def _params(node: Node) -> SamplingParams | None:
    return node.runs[-1].params if node.runs else None


def _error(node: Node) -> str | None:
    error = node.runs[-1].error if node.runs else None
    return explained(error) if error else None


def _differences(all_params: list[SamplingParams | None]) -> list[str]:
    """The settings of each that are not the same for all; what it was where none differs."""
    names = [name for name in (*TASTE, "seed") if name in ALLOWED and name != "stages"]
    differing = [
        name
        for name in names
        if len({getattr(params, name) for params in all_params if params is not None}) > 1
    ]
    shown = differing or ["temperature", "top_p"]
    return [
        " · ".join(f"{label(name)} {written(name, getattr(params, name))}" for name in shown)
        if params is not None
        else ""
        for params in all_params
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


def _odds(one: ReplyUnderGlass, other: ReplyUnderGlass) -> dict[str, Any] | None:
    """How likely reply `one` was under the settings of `other`, by what was recorded of it."""
    params = _params(other.node)
    traces = [stretch.trace for stretch in one.stretches if stretch.trace is not None]
    if params is None or not traces:
        return None
    bits: list[float] = []
    unknown = impossible = 0
    for trace in traces:
        found = odds_under(trace, _as_drawn(params, trace))
        bits += (-np.log2(found.probability[found.known & (found.probability > 0)])).tolist()
        unknown += int(np.count_nonzero(~found.known))
        impossible += int(np.count_nonzero(found.known & (found.probability <= 0)))
    return {
        "bits": sum(bits) / len(bits) if bits else None,
        "impossible": impossible,
        "unknown": unknown,
    }


def _as_drawn(params: SamplingParams, trace: Trace) -> SamplingParams:
    """The odds of a reply that takes the likeliest are asked as if it drew at temperature 1."""
    if not params.greedy:
        return params
    return replace(params, do_sample=True, temperature=params.temperature or 1.0)
