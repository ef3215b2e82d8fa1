"""Replies of another server under glass: what it told of their tokens, and what is missing."""

import math
from typing import Any

from glasschat.glass import RemoteCandidate, RemoteToken, RemoteTrace
from glasschat.web.glass.lessons import lesson
from glasschat.web.glass.token_text import Name, spoken
from glasschat.web.language import N_, _

WHY = N_(
    "Another server wrote this reply. It tells at most the likeliest tokens in each place: no "
    "stages, no draw, and not what the prompt's tokens are."
)


def told_numbers(told: RemoteTrace) -> dict[str, list[Any]]:
    """The columns of a heat map; None for what no server tells."""
    logprobs = [step.chosen.logprob if step.chosen else None for step in told.steps]
    nothing = [None] * len(told)
    return {
        "tokens": [name_of(step) for step in told.steps],
        "ids": nothing,
        "rank": [step.rank for step in told.steps],
        "probability": [None if p is None else float(f"{math.exp(p):.4g}") for p in logprobs],
        "surprise": [
            None if p is None else float(f"{max(0.0, -p / math.log(2)):.4g}") for p in logprobs
        ],
        "entropy": nothing,
        "change": nothing,
        "drawn": nothing,
    }


def name_of(step: RemoteToken) -> Name:
    """What its token is called."""
    return step.text if step.chosen is None else _name(step.chosen)


def _name(candidate: RemoteCandidate) -> Name:
    if candidate.data is None:
        return candidate.written
    try:
        return candidate.data.decode()
    except UnicodeDecodeError:
        return list(candidate.data)


def remote_waterfall_json(step: RemoteToken, place: int) -> dict[str, Any]:
    """What there is of a waterfall: one column, the model's own as far as it was told."""
    rows = [*step.top]
    if step.chosen is not None and step.rank is None:
        rows.append(step.chosen)
    found, sum_so_far = [], 0.0
    for rank, candidate in enumerate(rows):
        share = math.exp(candidate.logprob)
        sum_so_far += share
        known = rank < len(step.top)
        found.append(
            {
                "id": None,
                "token": _name(candidate),
                "cells": [[candidate.logprob, rank, share, min(1.0, sum_so_far), known]],
                "removed_by": None,
                "reason": None,
                "interval": None,
                "chosen": step.chosen is not None and candidate.is_same(step.chosen),
            }
        )
    what = lesson("raw")
    return {
        "elsewhere": True,
        "place": place,
        "token": name_of(step),
        "id": None,
        "rank": step.rank,
        "probability": None if step.chosen is None else math.exp(step.chosen.logprob),
        "u": None,
        "forced": False,
        "exact": True,
        "length": place,
        "columns": [
            {
                "name": "raw",
                "kind": None,
                "value": None,
                "kept": len(found),
                "mass": 1.0,
                "rest": step.unlisted_probability,
                "certain": True,
                "recorded": True,
                "unknown": False,
                "lesson": [_(what.what), _(what.formula), _(what.source)],
            }
        ],
        "candidates": found,
        "story": _story(step),
        "before": None,
    }


def _story(step: RemoteToken) -> list[str]:
    said = []
    if step.top:
        best = step.top[0]
        said.append(
            _(
                "The model wanted {token} most, with {share:.1%}.",
                token=spoken(_name(best)),
                share=math.exp(best.logprob),
            )
        )
    if step.unlisted_probability is not None:
        said.append(
            _(
                "All tokens that were not told of have {share:.1%} together.",
                share=step.unlisted_probability,
            )
        )
    if step.chosen is None:
        said.append(_("The server told no probabilities here."))
    return said
