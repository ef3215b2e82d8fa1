"""The waterfall of one token, as the page draws and tells it."""

import math
from collections.abc import Mapping
from typing import Any

from glasschat.glass import Candidate, Cell, Column, Sentence, Trace, Waterfall, waterfall
from glasschat.sampling import SamplingParams
from glasschat.web.glass.lessons import lesson
from glasschat.web.glass.params_patch import changed
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.glass.token_text import Names, spoken
from glasschat.web.language import _, ngettext

BEFORE = 24
"""Tokens that are shown of what the model read last, and of what the reply was by then."""


def waterfall_json(
    reply: ReplyUnderGlass, place: int, changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """How the token at `place` was chosen, or would be with other settings.

    Raises InvalidMessage, ParameterError.
    """
    trace, local = reply.at(place)
    params = changed(trace.params, changes) if changes else trace.params
    found = waterfall(trace, local, params if changes else None)
    return told(found, params, reply.names) | {
        "place": place,
        "probability": math.exp(trace.record(local).logprob),
        "before": before(trace, local, reply.names),
    }


def told(
    found: Waterfall, params: SamplingParams, names: Names, *, coming: bool = False
) -> dict[str, Any]:
    """A waterfall in plain numbers and sentences; `coming` is of a choice that has not fallen."""
    return {
        "token": names(found.token_id),
        "id": found.token_id,
        "logit": found.logit,
        "rank": found.rank,
        "drawn": found.probability,
        "u": found.u,
        "forced": found.forced,
        "exact": found.exact,
        "length": found.output_length,
        "columns": [_column(column, params) for column in found.columns],
        "candidates": [_row(candidate, names) for candidate in found.candidates],
        "softmax": _lesson("softmax"),
        "story": story(found, names, coming=coming),
    }


def sentence(said: Sentence) -> str:
    """In the visitor's language."""
    return _(said.template, **said.values)


def _column(column: Column, params: SamplingParams) -> dict[str, Any]:
    value = getattr(params, column.name, None)
    taught = _lesson(column.name)
    if column.unknown:
        taught[0] += _(" What it made of the candidates is not known behind a custom stage.")
    elif column.unavailable:
        taught[0] += _(" How many it left is on record; whom, as far as that decides it.")
    return {
        "name": column.name,
        "kind": column.kind,
        "value": value if isinstance(value, int | float) else None,
        "kept": column.kept,
        "mass": column.mass,
        "rest": column.rest,
        "certain": column.certain,
        "recorded": column.recorded,
        "unknown": column.unknown,
        "lesson": taught,
    }


def _lesson(name: str) -> list[str]:
    found = lesson(name)
    return [_(found.what), _(found.formula), _(found.source)]


def _row(candidate: Candidate, names: Names) -> dict[str, Any]:
    return {
        "id": candidate.token_id,
        "token": names(candidate.token_id),
        "cells": [
            [cell.score, cell.rank, cell.probability, cell.cumulative, cell.certain]
            if isinstance(cell, Cell)
            else cell
            for cell in candidate.cells
        ],
        "removed_by": candidate.removed_by,
        "reason": sentence(candidate.reason) if candidate.reason else None,
        "interval": candidate.interval,
        "chosen": candidate.chosen,
    }


def before(trace: Trace, local: int, names: Names) -> dict[str, Any]:
    """The end of the prompt and of the reply as they were."""
    read = trace.prompt.ids[: trace.reply_start]
    said = (*trace.prompt.ids[trace.reply_start :], *trace.token_ids[:local])
    return {
        "prompt": [[i, names(i)] for i in read[-BEFORE:]],
        "prompt_length": len(read),
        "reply": [[i, names(i)] for i in said[-BEFORE:]],
        "reply_length": len(said),
    }


# --- in words -----------------------------------------------------------------------------


def story(found: Waterfall, names: Names, *, coming: bool = False) -> list[str]:
    """What the model wanted, what the settings did to it, and why this token fell."""
    return [
        _wanted(found, names),
        *_done(found),
        _falls(found, names) if coming else _fell(found, names),
    ]


def _wanted(found: Waterfall, names: Names) -> str:
    best = found.candidates[0]
    cell = best.cells[0]
    assert isinstance(cell, Cell), "the raw candidates are on record"
    if best.chosen:
        return _(
            "The model wanted {token} most, with {share:.1%}.",
            token=spoken(names(best.token_id)),
            share=cell.probability,
        )
    return _(
        "The model wanted {best} most, with {share:.1%}; {token} was number {rank:,} of its list.",
        best=spoken(names(best.token_id)),
        share=cell.probability,
        token=spoken(names(found.token_id)),
        rank=found.rank + 1,
    )


def _done(found: Waterfall) -> list[str]:
    said = []
    for before, column in zip(found.columns, found.columns[1:], strict=False):
        if before.kept is None or column.kept is None or column.mass is None:
            continue
        gone = before.kept - column.kept
        if gone > 0:
            said.append(
                ngettext(
                    "{stage} removed {n:,} candidate that had {share:.2%} and left {left:,}.",
                    "{stage} removed {n:,} candidates that had {share:.2%} and left {left:,}.",
                    gone,
                    stage=column.name,
                    share=1 - column.mass,
                    left=column.kept,
                )
            )
    first, last = found.columns[0].best, found.columns[-1].best
    if last is None:
        said.append(
            _("What the settings made of the candidates is not known behind a custom stage.")
        )
    elif first != last:
        said.append(_("The settings put another token first than the model."))
    if not said:
        said.append(_("The settings removed nobody."))
    return said


def _fell(found: Waterfall, names: Names) -> str:
    token = spoken(names(found.token_id))
    if found.forced:
        return _("{token} was taken by hand.", token=token)
    if found.u is None:
        return _("Nothing was drawn: the likeliest is taken, and that is {token}.", token=token)
    share = next((c.interval for c in found.candidates if c.chosen), None)
    final = found.columns[-1]
    if final.unknown and final.recorded:
        return _(
            "The draw u = {u:.4f} fell on {token}, which had {share:.1%} in the end.",
            u=found.u,
            token=token,
            share=found.probability,
        )
    if final.unknown:
        return _("Where the draw u = {u:.4f} falls is not known behind a custom stage.", u=found.u)
    if share is None:
        return _(
            "The draw u = {u:.4f} fell on {token}, which is not among the recorded candidates.",
            u=found.u,
            token=token,
        )
    return _(
        "The draw u = {u:.4f} fell on {token}, which holds {low:.4f} to {high:.4f}.",
        u=found.u,
        token=token,
        low=share[0],
        high=share[1],
    )


def _falls(found: Waterfall, names: Names) -> str:
    token = spoken(names(found.token_id))
    if found.u is None:
        return _("Nothing is drawn: the likeliest will be taken, and that is {token}.", token=token)
    return _("The draw u = {u:.4f} will fall on {token}.", u=found.u, token=token)
