"""Queries of the glass box's page about one reply: the function of each route, answers as JSON."""

import re
from collections.abc import Mapping
from itertools import accumulate
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glasschat.chat import Node
from glasschat.engine import Reply, State
from glasschat.errors import InvalidMessage
from glasschat.glass import values
from glasschat.prompt import PromptEncoding
from glasschat.web.glass.params_patch import parse_patch
from glasschat.web.glass.remote_reply import WHY, remote_token_columns, remote_waterfall_json
from glasschat.web.glass.reply import InspectedReply
from glasschat.web.glass.waterfall import recorded_waterfall_json
from glasschat.web.glass.what_if import setting_effects_json, settings_json, what_if_json
from glasschat.web.language import _

LONGEST = 400
"""Characters that are shown of a turn that was left out."""

Query = Mapping[str, str]
"""The parameters of the address."""


def tokens(reply: InspectedReply, query: Query) -> dict[str, Any]:
    """Return the tokens from place `from` on with their numbers, and the reply's state."""
    start = parse_number(query, "from", 0)
    return {
        "state": state(reply.growing),
        "from": start,
        "count": reply.count,
        "recorded": reply.recorded,
        "note": _note(reply),
        **_token_columns(reply, start),
    }


def waterfall(reply: InspectedReply, query: Query) -> dict[str, Any]:
    """Return how the token at `place` was chosen, or would be with `changes` of the settings."""
    place = parse_number(query, "place")
    if (token := reply.remote_token_at(place)) is not None:
        return remote_waterfall_json(token, place)
    return recorded_waterfall_json(reply, place, parse_patch(query.get("changes")))


def what_if(reply: InspectedReply, query: Query) -> dict[str, Any]:
    """Return where `changes` of its settings would have made it another reply."""
    return what_if_json(reply, parse_patch(query.get("changes")))


def settings(reply: InspectedReply, query: Query) -> dict[str, Any]:
    """Return its settings, as the page makes controls from them."""
    return settings_json(reply) | _why(reply)


def setting_effects(reply: InspectedReply, query: Query) -> dict[str, Any]:
    """Return what each of its settings did."""
    return setting_effects_json(reply) | _why(reply)


def prompt(reply: InspectedReply, query: Query) -> dict[str, Any]:
    """Return the prompt of the newest run, token by token.

    `spans` tile it: [start, end, origin, message]. `cached` tokens at its beginning were in the
    cache already. `pieces` are [text, start, end] where the text of a control token stands in
    content and stayed text. `left_out` are the turns that did not fit.
    """
    encoding, cached = _encoding(reply)
    if encoding is None:
        empty: dict[str, Any] = {"tokens": [], "ids": [], "spans": [], "pieces": [], "left_out": []}
        return empty | {"cached": 0} | _why(reply)
    return {
        "ids": encoding.ids,
        "tokens": [reply.names(token_id) for token_id in encoding.ids],
        "spans": [[span.start, span.end, span.origin, span.message] for span in encoding.spans],
        "cached": cached,
        "pieces": _control_pieces(encoding, reply),
        "left_out": [_turn_json(node) for node in _left_out(encoding, reply)],
    } | _why(reply)


def state(generation: Reply | None) -> str:
    """Return the state of a reply, finished for None."""
    return (generation.snapshot().state if generation else State.FINISHED).value


def parse_number(query: Query, name: str, default: int | None = None) -> int:
    """Return a parameter that is a whole number of at least 0. Raises InvalidMessage."""
    text = query.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise InvalidMessage(
            "{name} is a whole number of at least 0, not {text}", name=name, text=repr(text[:20])
        )
    return int(text)


_NUMBERS = ("probability", "surprise", "entropy", "change", "drawn")


def _token_columns(reply: InspectedReply, start: int) -> dict[str, Any]:
    """Return columns of equal lengths from place `start` on, None where nothing is recorded.

    `inexact` are the places whose `change` the recorded candidates do not settle, `forced` those
    of tokens that were taken by hand, `ends` those of tokens that end a reply.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("tokens", "ids", "rank", *_NUMBERS)}
    forced: list[int] = []
    inexact: list[int] = []
    ends: list[int] = []
    for segment in reply.segments_from(start):
        if segment.remote is not None:
            for name, numbers in remote_token_columns(segment.remote).items():
                columns[name] += numbers
            continue
        columns["ids"] += segment.ids
        columns["tokens"] += [reply.names(token_id) for token_id in segment.ids]
        if segment.trace is None:
            for name in ("rank", *_NUMBERS):
                columns[name] += [None] * len(segment.ids)
            continue
        found = values(segment.trace)
        columns["rank"] += found.rank.tolist()
        for name in _NUMBERS:
            columns[name] += _round(getattr(found, name))
        forced += _places(segment.trace.columns.forced, segment.start)
        inexact += _places(~found.exact, segment.start)
        ending = np.isin(segment.trace.columns.token_id, list(segment.trace.end_ids))
        ends += _places(ending, segment.start)
    return {**columns, "forced": forced, "inexact": inexact, "ends": ends}


def _round(numbers: NDArray[np.floating[Any]]) -> list[float | None]:
    """Round to four digits, more than a colour or a line shows; None for NaN, what is not known."""
    return [None if isnan(number) else float(f"{number:.4g}") for number in numbers.tolist()]


def _places(mask: NDArray[np.bool_], start: int) -> list[int]:
    """Return the places where `mask` (bool [n]) is true, the first of them being `start`."""
    return (np.flatnonzero(mask) + start).tolist()


def _encoding(reply: InspectedReply) -> tuple[PromptEncoding | None, int]:
    """Return the prompt of the newest run, and how many of its tokens came from the cache."""
    if reply.generation is not None:
        return reply.generation.prompt, reply.generation.snapshot().usage.cached_tokens
    trace = reply.last_trace
    if trace is None:
        return None, 0
    return trace.prompt, reply.node.runs[-1].usage.cached_tokens


def _control_pieces(encoding: PromptEncoding, reply: InspectedReply) -> list[list[Any]]:
    """Return [text, start, end] in tokens for each control token's text that stands in content."""
    pieces = sorted(map(re.escape, reply.names.control_pieces), key=len, reverse=True)
    if not pieces:
        return []
    pattern = re.compile("|".join(pieces))
    found = []
    for span in encoding.spans:
        if span.message is None:
            continue
        names = [reply.names(token_id) for token_id in encoding.ids[span.start : span.end]]
        # Bytes that are no text by themselves are no control piece either.
        texts = [name if isinstance(name, str) else "\ufffd" for name in names]
        ends = list(accumulate(map(len, texts)))
        for match in pattern.finditer("".join(texts)):
            first = next(at for at, end in enumerate(ends) if end > match.start())
            last = next(at for at, end in enumerate(ends) if end >= match.end())
            found.append([match.group(), span.start + first, span.start + last + 1])
    return found


def _left_out(encoding: PromptEncoding, reply: InspectedReply) -> list[Node]:
    path = reply.conversation.tree.path_to(reply.node.id)
    # The system prompt is the first message, where there is one; it is never left out.
    has_system = any(span.origin == "system" and span.message == 0 for span in encoding.spans)
    return [path[message - has_system] for message in encoding.left_out]


def _turn_json(node: Node) -> list[str]:
    return [node.role, node.text[:LONGEST] + ("…" if len(node.text) > LONGEST else "")]


def _why(reply: InspectedReply) -> dict[str, Any]:
    """Return why a question cannot be answered, {} where it can."""
    return {"why": _(WHY)} if reply.is_remote else {}


def _note(reply: InspectedReply) -> str:
    if not reply.recorded and reply.count:
        return _("Nothing was recorded of how this reply was chosen.")
    if reply.is_remote:
        return _(WHY)
    if reply.count and not reply.names.known:
        return _(
            "This reply is another model's than the one that runs now: its tokens have numbers "
            "and no names here."
        )
    return ""
