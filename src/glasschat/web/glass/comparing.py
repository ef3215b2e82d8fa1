"""Replies to the same question side by side: their settings, their texts, their odds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from glasschat.backends import LocalBackend, Readiness
from glasschat.chat import Node, without_foreign_ids
from glasschat.chat.presets import SAMPLING_FIELDS, built_in
from glasschat.errors import InvalidMessage
from glasschat.glass import Trace, likelihoods
from glasschat.sampling import SamplingParams
from glasschat.web.error_text import explained
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.params_patch import ALLOWED, KNOBS, described_knob
from glasschat.web.glass.queries import state
from glasschat.web.glass.remote_reply import name_of
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.glass.token_text import Name
from glasschat.web.language import N_, _
from glasschat.web.model_choice import shown_name
from glasschat.web.settings.fields import label, written
from glasschat.web.settings.preset_choice import shown_name as preset_name

_UNRECORDED = N_("Nothing was recorded of how this reply was chosen.")
_WHY = {
    "elsewhere": N_("Another server cannot be asked how likely a reply is to it."),
    "not_here": N_("The model that wrote the other reply is not offered now."),
    "foreign": N_("The two models do not share a vocabulary."),
}


def cell(one: ReplyUnderGlass, other: ReplyUnderGlass) -> dict[str, Any]:
    """How likely reply `one` was under what wrote `other`.

    That is `bits` a token, with the numbers of tokens that are `impossible` there and that are
    `unknown`; or `why` it is not known; or `reading`, the share that the other model has read, None
    where it could but was not asked to.
    """
    if other.node.runs == ():
        return {"why": _(_UNRECORDED)}
    params = other.node.runs[-1].params
    if _same_model(one, other):
        traces = [stretch.trace for stretch in one.stretches if stretch.trace is not None]
        return _figures(traces, params) if traces else {"why": _(_UNRECORDED)}
    backend = _reader(one, other)
    if isinstance(backend, str):
        return {"why": _(_WHY[backend])}
    reading = one.site.readings.find(one.conversation, one.node, backend)
    if reading is None:
        return {"reading": None}
    if reading.error is not None:
        return {"why": explained(reading.error)}
    if reading.trace is None:
        return {"reading": reading.share}
    return _figures([reading.trace], params)


def start_reading(one: ReplyUnderGlass, other: ReplyUnderGlass) -> None:
    """Have the model of `other` read reply `one`, where it can and has not.

    Raises PromptError, EngineError.
    """
    if other.node.runs and not _same_model(one, other):
        backend = _reader(one, other)
        if not isinstance(backend, str):
            params = other.node.runs[-1].params
            one.site.readings.start(one.conversation, one.node, backend, params)


def _same_model(one: ReplyUnderGlass, other: ReplyUnderGlass) -> bool:
    origins = {run.origin.model_fingerprint for run in (*one.node.runs, *other.node.runs)}
    return len(origins) == 1 and "" not in origins


def _reader(one: ReplyUnderGlass, other: ReplyUnderGlass) -> LocalBackend | str:
    """The model that wrote `other`, if it can read `one`; otherwise why not."""
    backend = other.site.backend
    if not isinstance(backend, LocalBackend) or other.told:
        return "elsewhere"
    if not other.names.known or backend.describe().readiness is not Readiness.READY:
        return "not_here"
    return backend if without_foreign_ids(backend, one.node).ids else "foreign"


def _figures(traces: Sequence[Trace], params: SamplingParams) -> dict[str, Any]:
    bits: list[float] = []
    unknown = impossible = 0
    for trace in traces:
        found = likelihoods(trace, _as_drawn(params))
        bits += (-np.log2(found.probability[found.known & (found.probability > 0)])).tolist()
        unknown += int(np.count_nonzero(~found.known))
        impossible += int(np.count_nonzero(found.known & (found.probability <= 0)))
    return {
        "bits": sum(bits) / len(bits) if bits else None,
        "impossible": impossible,
        "unknown": unknown,
    }


def _as_drawn(params: SamplingParams) -> SamplingParams:
    """The odds of a reply that takes the likeliest are asked as if it drew at temperature 1."""
    if not params.greedy:
        return params
    return replace(params, do_sample=True, temperature=params.temperature or 1.0)


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
    values = {
        name: params.get(name, getattr(defaults, name))
        for name in SAMPLING_FIELDS
        if name in ALLOWED
    }
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
    names = [name for name in (*SAMPLING_FIELDS, "seed") if name in ALLOWED and name != "stages"]
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
