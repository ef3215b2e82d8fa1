"""The debugger's side of the server: a reply on its way is paused, stepped and led by hand."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from glasschat.engine import Breakpoint, Generation, State
from glasschat.errors import InvalidMessage
from glasschat.glass import (
    BestChanges,
    EntropyAbove,
    ProbabilityBelow,
    TextAppears,
    Trace,
    waterfall,
)
from glasschat.sampling import Columns, StepRecord
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.glass.waterfall import before, told
from glasschat.web.language import _

PATIENCE_S = 2.0
"""How long an answer waits for what it asked for to be seen; the page asks again after it."""
MOST_STEPS = 100_000
MOST_BREAKPOINTS = 20


def standing(reply: ReplyUnderGlass) -> dict[str, Any]:
    """What the reply is doing, and while it is paused the candidates of its next token."""
    generation = reply.generation
    if generation is None:
        return {"state": State.FINISHED.value, "hit": None, "coming": None}
    coming, hit = generation.preview, generation.hit_breakpoint
    return {
        "state": generation.snapshot().state.value,
        "hit": None if hit is None else _hit(hit),
        "coming": None if coming is None else _coming(reply, generation, coming),
    }


def steer(reply: ReplyUnderGlass, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Send a signal; what the reply does then.

    Raises InvalidMessage for one that is not known, ParameterError for a value out of range.
    """
    generation = reply.generation
    if generation is None:
        return standing(reply)
    action = asked.get("action")
    if "breakpoints" in asked:
        generation.break_on(*breakpoints(asked["breakpoints"]))
    seen = len(generation.steps())
    match action:
        case "pause":
            generation.pause()
        case "resume":
            generation.resume()
        case "step":
            generation.step(_whole(asked.get("count", 1), MOST_STEPS))
        case "force":
            generation.force(_whole(asked.get("token"), 2**31))
            generation.step()
        case "cancel":
            generation.cancel()
        case "break":
            return standing(reply)
        case _:
            raise InvalidMessage(f"the debugger has no signal {str(action)[:20]!r}")
    if action in ("pause", "step", "force"):
        _settle(generation, seen if action != "pause" else -1)
    return standing(reply)


def breakpoints(asked: object) -> tuple[Breakpoint, ...]:
    """As the page names them. Raises InvalidMessage, ParameterError."""
    if not isinstance(asked, Sequence) or isinstance(asked, str) or len(asked) > MOST_BREAKPOINTS:
        raise InvalidMessage(f"breakpoints are a list of at most {MOST_BREAKPOINTS}")
    return tuple(_breakpoint(item) for item in asked)


def _breakpoint(item: object) -> Breakpoint:
    match item:
        case {"kind": "probability", "value": int() | float() as limit}:
            return ProbabilityBelow(float(limit))
        case {"kind": "entropy", "value": int() | float() as bits}:
            return EntropyAbove(float(bits))
        case {"kind": "text", "value": str() as text}:
            return TextAppears(text)
        case {"kind": "best"}:
            return BestChanges()
        case _:
            raise InvalidMessage("a breakpoint has a kind that is not known, or no value")


def _whole(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise InvalidMessage(f"a whole number up to {most:,} is wanted, not {str(value)[:20]!r}")
    return value


def _settle(generation: Generation, seen: int) -> None:
    """Wait until the reply stands still behind more than `seen` tokens, or has ended."""
    end = time.monotonic() + PATIENCE_S
    while not generation.finished:
        version = generation.snapshot().version
        if generation.preview is not None and len(generation.steps()) > seen:
            return
        left = end - time.monotonic()
        if left <= 0 or not generation.wait_for_change(version, left):
            return


def _coming(reply: ReplyUnderGlass, generation: Generation, coming: StepRecord) -> dict[str, Any]:
    """The waterfall of a choice that has not fallen."""
    trace = _trace_of(generation, coming)
    return {
        **told(waterfall(trace, 0), trace.params, reply.names, coming=True),
        "place": trace.earlier,
        "probability": math.exp(coming.logprob),
        "before": before(trace, 0, reply.names),
    }


def _trace_of(generation: Generation, coming: StepRecord) -> Trace:
    request = generation.request
    said = (*request.reply_ids, *(step.token_id for step in generation.steps()))
    asked = replace(request.prompt, ids=request.prompt_ids[: request.reply_start], open_reply=None)
    return Trace(
        prompt=asked.going_on(-1, said, ""),
        params=request.params,
        seed=generation.snapshot().seed or 0,
        end_ids=request.end_ids,
        vocab_size=request.vocab_size,
        columns=Columns.of([coming]),
        texts=("",),
        stage_classes=request.stage_classes,
    )


def _hit(hit: Breakpoint) -> str:
    match hit:
        case ProbabilityBelow():
            return _("Paused: the probability of the choice is below {limit:.1%}.", limit=hit.limit)
        case EntropyAbove():
            return _("Paused: the entropy is above {bits:g} bits.", bits=hit.bits)
        case TextAppears():
            return _("Paused: “{text}” has appeared.", text=hit.text)
        case _:
            return _("Paused: a stage puts another token first.")
