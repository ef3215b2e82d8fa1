"""The debugger: pauses and steps a reply that is being written, and forces its tokens."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glasschat.engine import Breakpoint, Generation, State
from glasschat.glass import (
    EntropyAbove,
    ProbabilityBelow,
    TextAppears,
    Trace,
    waterfall,
)
from glasschat.sampling import Columns, StepRecord
from glasschat.web.glass.reply import InspectedReply
from glasschat.web.glass.signals import DebuggerSignal, parse_body
from glasschat.web.glass.waterfall import context_json, waterfall_json
from glasschat.web.language import _

PATIENCE_S = 2.0
"""How long an answer waits for the signal to take effect; the page asks again after it."""


def debugger_state(reply: InspectedReply) -> dict[str, Any]:
    """Return what the reply is doing, and while it is paused the waterfall of its next token."""
    generation = reply.generation
    if generation is None:
        return {"state": State.FINISHED.value, "pause_reason": None, "preview": None}
    preview, hit = generation.preview, generation.hit_breakpoint
    return {
        "state": generation.snapshot().state.value,
        "pause_reason": None if hit is None else _pause_reason(hit),
        "preview": None if preview is None else _preview_json(reply, generation, preview),
    }


def debugger_signal(reply: InspectedReply, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send a signal to the reply; return its state then.

    Raises InvalidMessage for a signal that is not known, ParameterError for a value out of range.
    """
    generation = reply.generation
    if generation is None:
        return debugger_state(reply)
    signal = parse_body(DebuggerSignal, body)
    if signal.breakpoints is not None:
        generation.break_on(*(point.build() for point in signal.breakpoints))
    count = len(generation.steps())
    match signal.action:
        case "pause":
            generation.pause()
        case "resume":
            generation.resume()
        case "step":
            generation.step(signal.count)
        case "force":
            generation.force(signal.token)
            generation.step()
        case "cancel":
            generation.cancel()
    if signal.action in ("pause", "step", "force"):
        _wait_until_paused(generation, -1 if signal.action == "pause" else count)
    return debugger_state(reply)


def _wait_until_paused(generation: Generation, count: int) -> None:
    """Wait until the reply is paused behind more than `count` tokens, or has ended."""
    end = time.monotonic() + PATIENCE_S
    while not generation.finished:
        version = generation.snapshot().version
        if generation.preview is not None and len(generation.steps()) > count:
            return
        left = end - time.monotonic()
        if left <= 0 or not generation.wait_for_change(version, left):
            return


def _preview_json(
    reply: InspectedReply, generation: Generation, preview: StepRecord
) -> dict[str, Any]:
    """Return the waterfall of a choice that was not made yet."""
    trace = _preview_trace(generation, preview)
    return {
        **waterfall_json(waterfall(trace, 0), trace.params, reply.names, preview=True),
        "place": trace.earlier,
        "probability": math.exp(preview.logprob),
        "before": context_json(trace, 0, reply.names),
    }


def _preview_trace(generation: Generation, preview: StepRecord) -> Trace:
    """Return a trace of one token: the choice that was not made yet."""
    request = generation.request
    written = (*request.reply_ids, *(step.token_id for step in generation.steps()))
    question = replace(
        request.prompt, ids=request.prompt_ids[: request.reply_start], open_reply=None
    )
    return Trace(
        prompt=question.with_open_reply(-1, written, ""),
        params=request.params,
        seed=generation.snapshot().seed or 0,
        end_ids=request.end_ids,
        vocab_size=request.vocab_size,
        columns=Columns.of([preview]),
        texts=("",),
        stage_classes=request.stage_classes,
    )


def _pause_reason(hit: Breakpoint) -> str:
    """Return which breakpoint paused the reply, in a sentence."""
    match hit:
        case ProbabilityBelow():
            return _("Paused: the probability of the choice is below {limit:.1%}.", limit=hit.limit)
        case EntropyAbove():
            return _("Paused: the entropy is above {bits:g} bits.", bits=hit.bits)
        case TextAppears():
            return _("Paused: “{text}” has appeared.", text=hit.text)
        case _:
            return _("Paused: a stage puts another token first.")
