"""How likely a reply was under the settings of another, or to another's model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glasschat.backends import LocalBackend, Readiness
from glasschat.chat import as_read_by
from glasschat.glass import Trace, odds_under
from glasschat.sampling import SamplingParams
from glasschat.web.error_text import explained
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.language import N_, _

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
    return backend if as_read_by(backend, one.node).ids else "foreign"


def _figures(traces: Sequence[Trace], params: SamplingParams) -> dict[str, Any]:
    bits: list[float] = []
    unknown = impossible = 0
    for trace in traces:
        found = odds_under(trace, _as_drawn(params))
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
