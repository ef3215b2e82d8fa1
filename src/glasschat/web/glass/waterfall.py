"""The waterfall of one token as JSON, with its story in the visitor's language."""

import math
from collections.abc import Mapping
from typing import Any

from glasschat.glass import Candidate, Cell, Column, Sentence, Trace, Waterfall, waterfall
from glasschat.sampling import SamplingParams
from glasschat.web.glass.lessons import lesson
from glasschat.web.glass.params_patch import apply_patch
from glasschat.web.glass.reply import InspectedReply
from glasschat.web.glass.token_text import TokenNames, quote_name
from glasschat.web.language import _, ngettext

BEFORE = 24
"""Tokens that are shown of the end of the prompt, and of the end of the reply so far."""


def recorded_waterfall_json(
    reply: InspectedReply, place: int, patch: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return how the token at `place` was chosen, or would be with some settings changed.

    Raises InvalidMessage, ParameterError.
    """
    trace, local = reply.at(place)
    params = apply_patch(trace.params, patch) if patch else trace.params
    found = waterfall(trace, local, params if patch else None)
    return waterfall_json(found, params, reply.names) | {
        "place": place,
        "probability": math.exp(trace.record(local).logprob),
        "before": context_json(trace, local, reply.names),
    }


def waterfall_json(
    found: Waterfall, params: SamplingParams, names: TokenNames, *, preview: bool = False
) -> dict[str, Any]:
    """Return a waterfall in plain numbers and sentences; `preview`: the choice is not made yet."""
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
        "columns": [_column_json(column, params) for column in found.columns],
        "candidates": [_row_json(candidate, names) for candidate in found.candidates],
        "softmax": _lesson("softmax"),
        "story": story(found, names, preview=preview),
    }


def sentence_text(sentence: Sentence) -> str:
    """Return a sentence in the visitor's language."""
    return _(sentence.template, **sentence.values)


def _column_json(column: Column, params: SamplingParams) -> dict[str, Any]:
    value = getattr(params, column.name, None)
    lesson_texts = _lesson(column.name)
    if column.unknown:
        lesson_texts[0] += _(" What it made of the candidates is not known from the record.")
    elif column.unavailable:
        lesson_texts[0] += _(" How many it left is on record; whom, as far as that decides it.")
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
        "lesson": lesson_texts,
    }


def _lesson(name: str) -> list[str]:
    """Return what a stage is, its formula and its source, in the visitor's language."""
    found = lesson(name)
    return [_(found.what), _(found.formula), _(found.source)]


def _row_json(candidate: Candidate, names: TokenNames) -> dict[str, Any]:
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
        "reason": sentence_text(candidate.reason) if candidate.reason else None,
        "interval": candidate.interval,
        "chosen": candidate.chosen,
    }


def context_json(trace: Trace, place: int, names: TokenNames) -> dict[str, Any]:
    """Return the end of the prompt and of the reply before the token at `place` of the trace."""
    prompt = trace.prompt.ids[: trace.reply_start]
    reply = (*trace.prompt.ids[trace.reply_start :], *trace.token_ids[:place])
    return {
        "prompt": [[i, names(i)] for i in prompt[-BEFORE:]],
        "prompt_length": len(prompt),
        "reply": [[i, names(i)] for i in reply[-BEFORE:]],
        "reply_length": len(reply),
    }


def story(found: Waterfall, names: TokenNames, *, preview: bool = False) -> list[str]:
    """Return in sentences what the model wanted, what the stages did, and where the draw fell."""
    return [
        _model_choice(found, names),
        *_stage_effects(found),
        _coming_draw(found, names) if preview else _draw_result(found, names),
    ]


def _model_choice(found: Waterfall, names: TokenNames) -> str:
    best = found.candidates[0]
    cell = best.cells[0]
    assert isinstance(cell, Cell)  # raw candidates are always on record
    if best.chosen:
        return _(
            "The model wanted {token} most, with {share:.1%}.",
            token=quote_name(names(best.token_id)),
            share=cell.probability,
        )
    return _(
        "The model wanted {best} most, with {share:.1%}; {token} was number {rank:,} of its list.",
        best=quote_name(names(best.token_id)),
        share=cell.probability,
        token=quote_name(names(found.token_id)),
        rank=found.rank + 1,
    )


def _stage_effects(found: Waterfall) -> list[str]:
    sentences = []
    for before, column in zip(found.columns, found.columns[1:], strict=False):
        if before.kept is None or column.kept is None or column.mass is None:
            continue
        removed = before.kept - column.kept
        if removed > 0:
            sentences.append(
                ngettext(
                    "{stage} removed {n:,} candidate that had {share:.2%} and left {left:,}.",
                    "{stage} removed {n:,} candidates that had {share:.2%} and left {left:,}.",
                    removed,
                    stage=column.name,
                    share=1 - column.mass,
                    left=column.kept,
                )
            )
    first, last = found.columns[0].best, found.columns[-1].best
    if last is None:
        sentences.append(
            _("What the settings made of the candidates is not known from the record.")
        )
    elif first != last:
        sentences.append(_("The settings put another token first than the model."))
    if not sentences:
        sentences.append(_("The settings removed nobody."))
    return sentences


def _draw_result(found: Waterfall, names: TokenNames) -> str:
    token = quote_name(names(found.token_id))
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
        return _("Where the draw u = {u:.4f} falls is not known from the record.", u=found.u)
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


def _coming_draw(found: Waterfall, names: TokenNames) -> str:
    token = quote_name(names(found.token_id))
    if found.u is None:
        return _("Nothing is drawn: the likeliest will be taken, and that is {token}.", token=token)
    return _("The draw u = {u:.4f} will fall on {token}.", u=found.u, token=token)
