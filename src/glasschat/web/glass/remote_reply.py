"""Replies of another server in the glass box: the log-probabilities that it sent, as JSON."""

import math
from typing import Any

from glasschat.glass import RemoteCandidate, RemoteToken, RemoteTrace
from glasschat.web.glass.lessons import lesson
from glasschat.web.glass.token_text import TokenName, quote_name
from glasschat.web.language import N_, _

WHY = N_(
    "Another server wrote this reply. It tells at most the likeliest tokens in each place: no "
    "stages, no draw, and not what the prompt's tokens are."
)


def remote_token_columns(trace: RemoteTrace) -> dict[str, list[Any]]:
    """Return the columns of the tokens' numbers; None for what no server sends."""
    logprobs = [step.chosen.logprob if step.chosen else None for step in trace.steps]
    nothing = [None] * len(trace)
    return {
        "tokens": [remote_token_name(step) for step in trace.steps],
        "ids": nothing,
        "rank": [step.rank for step in trace.steps],
        "probability": [None if p is None else float(f"{math.exp(p):.4g}") for p in logprobs],
        "surprise": [
            None if p is None else float(f"{max(0.0, -p / math.log(2)):.4g}") for p in logprobs
        ],
        "entropy": nothing,
        "change": nothing,
        "drawn": nothing,
    }


def remote_token_name(step: RemoteToken) -> TokenName:
    """Return the name of the token that was chosen."""
    return step.text if step.chosen is None else _candidate_name(step.chosen)


def _candidate_name(candidate: RemoteCandidate) -> TokenName:
    if candidate.data is None:
        return candidate.written
    try:
        return candidate.data.decode()
    except UnicodeDecodeError:
        return list(candidate.data)


def remote_waterfall_json(step: RemoteToken, place: int) -> dict[str, Any]:
    """Return a waterfall of one column: the model's own distribution as far as it was sent."""
    rows = [*step.top]
    if step.chosen is not None and step.rank is None:
        rows.append(step.chosen)
    found, cumulative = [], 0.0
    for rank, candidate in enumerate(rows):
        share = math.exp(candidate.logprob)
        cumulative += share
        known = rank < len(step.top)
        found.append(
            {
                "id": None,
                "token": _candidate_name(candidate),
                "cells": [[candidate.logprob, rank, share, min(1.0, cumulative), known]],
                "removed_by": None,
                "reason": None,
                "interval": None,
                "chosen": step.chosen is not None and candidate.is_same(step.chosen),
            }
        )
    raw_lesson = lesson("raw")
    return {
        "remote": True,
        "place": place,
        "token": remote_token_name(step),
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
                "lesson": [_(raw_lesson.what), _(raw_lesson.formula), _(raw_lesson.source)],
            }
        ],
        "candidates": found,
        "story": _story(step),
        "before": None,
    }


def _story(step: RemoteToken) -> list[str]:
    sentences = []
    if step.top:
        best = step.top[0]
        sentences.append(
            _(
                "The model wanted {token} most, with {share:.1%}.",
                token=quote_name(_candidate_name(best)),
                share=math.exp(best.logprob),
            )
        )
    if step.unlisted_probability is not None:
        sentences.append(
            _(
                "All tokens that were not told of have {share:.1%} together.",
                share=step.unlisted_probability,
            )
        )
    if step.chosen is None:
        sentences.append(_("The server told no probabilities here."))
    return sentences
