"""Replies to the same question side by side: their settings, their texts, their likelihoods."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from glasschat.backends import LocalBackend, Readiness
from glasschat.chat import Node, without_foreign_ids
from glasschat.chat.presets import SAMPLING_FIELDS, built_in_presets
from glasschat.errors import InvalidMessage
from glasschat.glass import Trace, likelihoods
from glasschat.sampling import SamplingParams
from glasschat.web.error_text import explain
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.params_patch import ALLOWED, CONTROLS, control_json
from glasschat.web.glass.queries import state
from glasschat.web.glass.remote_reply import remote_token_name
from glasschat.web.glass.reply import InspectedReply
from glasschat.web.glass.token_text import TokenName
from glasschat.web.language import N_, _
from glasschat.web.model_choice import shown_name
from glasschat.web.settings.fields import format_value, label
from glasschat.web.settings.preset_picker import shown_name as preset_name

_UNRECORDED = N_("Nothing was recorded of how this reply was chosen.")
_WHY = {
    "remote": N_("Another server cannot be asked how likely a reply is to it."),
    "not_loaded": N_("The model that wrote the other reply is not offered now."),
    "other_vocabulary": N_("The two models do not share a vocabulary."),
}


def likelihood(one: InspectedReply, other: InspectedReply) -> dict[str, Any]:
    """Return how likely reply `one` was under the model and the settings that wrote `other`.

    That is `bits` a token, with the numbers of tokens that are `impossible` there and that are
    `unknown`; or `why` it is not known; or `progress`, the share in [0, 1] that the other model has
    read, None where it could but was not asked to.
    """
    if other.node.runs == ():
        return {"why": _(_UNRECORDED)}
    params = other.node.runs[-1].params
    if _same_model(one, other):
        traces = [segment.trace for segment in one.segments if segment.trace is not None]
        return _mean_surprise(traces, params) if traces else {"why": _(_UNRECORDED)}
    backend = _scoring_backend(one, other)
    if isinstance(backend, str):
        return {"why": _(_WHY[backend])}
    score = one.site.cross_scorer.find(one.conversation, one.node, backend)
    if score is None:
        return {"progress": None}
    if score.error is not None:
        return {"why": explain(score.error)}
    if score.trace is None:
        return {"progress": score.progress}
    return _mean_surprise([score.trace], params)


def start_cross_scoring(one: InspectedReply, other: InspectedReply) -> None:
    """Start the model of `other` reading reply `one`, where it can and has not.

    Raises PromptError, EngineError.
    """
    if other.node.runs and not _same_model(one, other):
        backend = _scoring_backend(one, other)
        if not isinstance(backend, str):
            params = other.node.runs[-1].params
            one.site.cross_scorer.start(one.conversation, one.node, backend, params)


def _same_model(one: InspectedReply, other: InspectedReply) -> bool:
    origins = {run.origin.model_fingerprint for run in (*one.node.runs, *other.node.runs)}
    return len(origins) == 1 and "" not in origins


def _scoring_backend(one: InspectedReply, other: InspectedReply) -> LocalBackend | str:
    """Return the model that wrote `other`, if it can read `one`; otherwise a key of _WHY."""
    backend = other.site.backend
    if not isinstance(backend, LocalBackend) or other.partly_remote:
        return "remote"
    if not other.names.known or backend.describe().readiness is not Readiness.READY:
        return "not_loaded"
    return backend if without_foreign_ids(backend, one.node).ids else "other_vocabulary"


def _mean_surprise(traces: Sequence[Trace], params: SamplingParams) -> dict[str, Any]:
    """Return the mean surprise of all tokens in bits, and how many are left out of it."""
    bits: list[float] = []
    unknown = impossible = 0
    for trace in traces:
        found = likelihoods(trace, _sampling(params))
        bits += (-np.log2(found.probability[found.known & (found.probability > 0)])).tolist()
        unknown += int(np.count_nonzero(~found.known))
        impossible += int(np.count_nonzero(found.known & (found.probability <= 0)))
    return {
        "bits": sum(bits) / len(bits) if bits else None,
        "impossible": impossible,
        "unknown": unknown,
    }


def _sampling(params: SamplingParams) -> SamplingParams:
    """Return the settings; greedy ones as if they drew, at temperature 1."""
    if not params.greedy:
        return params
    return replace(params, do_sample=True, temperature=params.temperature or 1.0)


Key = int | str | bytes
COMPARED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")

MOST = 4
"""Replies that are compared at once."""
LONGEST = 4000
"""Tokens of a reply that are aligned with another's; to align more takes too long."""


def siblings(reply: InspectedReply) -> dict[str, Any]:
    """Return all replies to the question, and the models and presets for new ones."""
    beside = reply.conversation.tree.siblings(reply.node.id)
    described = reply.site.backend.describe()
    presets = (
        *built_in_presets(described.recommended),
        *reply.site.presets.presets(reply.conversation.owner),
    )
    differences = _differences(beside)
    return {
        "here": reply.node.id,
        "replies": [
            {"turn": node.id, "settings": settings, "start": node.text[:60]}
            for node, settings in zip(beside, differences, strict=True)
        ],
        "presets": [
            {"name": preset_name(preset), "values": _preset_values(preset.params)}
            for preset in presets
        ],
        "controls": [control_json(number) for number in CONTROLS if number.name in COMPARED],
        "models": [
            {"name": name, "label": shown_name(reply.site, name)}
            for name, backend in reply.site.named.items()
            if backend.describe().readiness is Readiness.READY
        ],
        "most": MOST,
    }


def _preset_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling settings of a preset, with the defaults that it does not name."""
    defaults = SamplingParams()
    values = {
        name: params.get(name, getattr(defaults, name))
        for name in SAMPLING_FIELDS
        if name in ALLOWED
    }
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def compare(reply: InspectedReply, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the replies of the turns in `turns`, what they share, and how likely each was.

    `likelihoods` has a row for each reply: its likelihood under the settings of each, and under
    another model where that has read it. It is None while one is being written.
    """
    found = _selected_replies(reply, query)
    keys = _token_keys(found)
    differences = _differences([one.node for one in found])
    ended = all(one.growing is None for one in found)
    return {
        "growing": not ended,
        "replies": [
            {
                "turn": one.node.id,
                "state": state(one.growing),
                "settings": differences[number],
                "tokens": _tokens(one),
                "same": _shared(keys[0], keys[number]) if number else [],
                "diverges": _first_difference(keys[0], keys[number], ended=ended)
                if number
                else None,
                "error": _error(one.node),
            }
            for number, one in enumerate(found)
        ],
        "likelihoods": [[likelihood(one, other) for other in found] for one in found]
        if ended
        else None,
    }


def cross_score(reply: InspectedReply, query: Mapping[str, str]) -> dict[str, Any]:
    """Start the models of these replies reading the others' replies that they can read.

    Raises PromptError, EngineError.
    """
    found = _selected_replies(reply, query)
    for one in found:
        for other in found:
            start_cross_scoring(one, other)
    return {}


def _selected_replies(reply: InspectedReply, query: Mapping[str, str]) -> list[InspectedReply]:
    turns = list(dict.fromkeys(str(query.get("turns", "")).split(",")))
    if not 1 < len(turns) <= MOST:
        raise InvalidMessage(
            "two to {most} replies are compared, not {count}", most=MOST, count=len(turns)
        )
    beside = {node.id for node in reply.conversation.tree.siblings(reply.node.id)}
    if not beside.issuperset(turns):
        raise InvalidMessage("only replies to the same question are compared")
    owner, conversation = reply.conversation.owner, reply.conversation.id
    return [InspectedReply(reply.site, Subject(owner, conversation, turn)) for turn in turns]


def _token_keys(replies: Sequence[InspectedReply]) -> list[tuple[Key, ...]]:
    """Return what their tokens are compared by: ids, or names where the models differ."""
    writers = {run.origin.model_fingerprint for one in replies for run in one.node.runs}
    if len(writers) == 1 and not any(one.partly_remote for one in replies):
        return [tuple(i for segment in one.segments for i in segment.ids) for one in replies]
    return [tuple(n if isinstance(n, str) else bytes(n) for n in _tokens(one)) for one in replies]


def _tokens(reply: InspectedReply) -> list[TokenName]:
    return [
        name
        for segment in reply.segments
        for name in (
            map(reply.names, segment.ids)
            if segment.remote is None
            else map(remote_token_name, segment.remote.steps)
        )
    ]


def _error(node: Node) -> str | None:
    error = node.runs[-1].error if node.runs else None
    return explain(error) if error else None


def _differences(replies: Sequence[Node]) -> list[str]:
    """Return the model and settings in which they differ; two settings where in none."""
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
                *(
                    f"{label(name)} {format_value(name, getattr(run.params, name))}"
                    for name in shown
                ),
            ]
        )
        if run is not None
        else ""
        for run in runs
    ]


def _first_difference(one: tuple[Key, ...], other: tuple[Key, ...], *, ended: bool) -> int | None:
    """Return the first place that differs; None where they are the same as far as they are."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other)) if ended and len(one) != len(other) else None


def _shared(one: tuple[Key, ...], other: tuple[Key, ...]) -> list[list[int]]:
    """Return [start, end] of each run of tokens of `other` that `one` has too, in order."""
    matcher = SequenceMatcher(None, one[:LONGEST], other[:LONGEST], autojunk=False)
    return [[m.b, m.b + m.size] for m in matcher.get_matching_blocks() if m.size]
