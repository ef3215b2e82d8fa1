"""What the glass box's page asks of a reply, each with its answer in plain data."""

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
from glasschat.web.glass.params_patch import read_changes
from glasschat.web.glass.remote_reply import WHY, remote_waterfall_json, told_numbers
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.glass.waterfall import waterfall_json
from glasschat.web.glass.what_if import asked as asked_of
from glasschat.web.glass.what_if import audited, knobs
from glasschat.web.language import _

LONGEST = 400
"""Characters that are shown of a turn that was left out."""


def xray(reply: ReplyUnderGlass) -> dict[str, Any]:
    """The prompt of the newest run.

    `spans` tile it. `cached` tokens at its beginning were in the cache already. `pieces` are
    places in content where the text of a control token stands and stayed text.
    """
    prompt, cached = _prompt(reply)
    if prompt is None:
        return {"tokens": [], "ids": [], "spans": [], "cached": 0, "pieces": [], "left_out": []}
    return {
        "ids": prompt.ids,
        "tokens": [reply.names(token_id) for token_id in prompt.ids],
        "spans": [[span.start, span.end, span.origin, span.message] for span in prompt.spans],
        "cached": cached,
        "pieces": _pieces(prompt, reply),
        "left_out": [_turn(node) for node in _left_out(prompt, reply)],
    }


def _prompt(reply: ReplyUnderGlass) -> tuple[PromptEncoding | None, int]:
    if reply.generation is not None:
        return reply.generation.prompt, reply.generation.snapshot().usage.cached_tokens
    trace = reply.last_trace
    if trace is None:
        return None, 0
    return trace.prompt, reply.node.runs[-1].usage.cached_tokens


def _pieces(prompt: PromptEncoding, reply: ReplyUnderGlass) -> list[list[Any]]:
    """Triples of the piece, and from which token up to which it stands."""
    pieces = sorted(map(re.escape, reply.names.control_pieces), key=len, reverse=True)
    if not pieces:
        return []
    pattern = re.compile("|".join(pieces))
    found = []
    for span in prompt.spans:
        if span.message is None:
            continue
        names = [reply.names(token_id) for token_id in prompt.ids[span.start : span.end]]
        # Bytes that are no text by themselves are no control piece either.
        texts = [name if isinstance(name, str) else "\ufffd" for name in names]
        ends = list(accumulate(map(len, texts)))
        for match in pattern.finditer("".join(texts)):
            first = next(at for at, end in enumerate(ends) if end > match.start())
            last = next(at for at, end in enumerate(ends) if end >= match.end())
            found.append([match.group(), span.start + first, span.start + last + 1])
    return found


def _left_out(prompt: PromptEncoding, reply: ReplyUnderGlass) -> list[Node]:
    path = reply.conversation.tree.path_to(reply.node.id)
    # The system prompt is the first message, where there is one; it is never left out.
    has_system = any(span.origin == "system" and span.message == 0 for span in prompt.spans)
    return [path[message - has_system] for message in prompt.left_out]


def _turn(node: Node) -> list[str]:
    return [node.role, node.text[:LONGEST] + ("…" if len(node.text) > LONGEST else "")]


_NUMBERS = ("probability", "surprise", "entropy", "change", "drawn")


def heat(reply: ReplyUnderGlass, start: int) -> dict[str, Any]:
    """The tokens from place `start` on: columns of equal lengths, None where nothing is recorded.

    `inexact` are the places whose `change` the recorded candidates do not settle, `forced` those
    of tokens that were taken by hand, `ends` those of tokens that end a reply.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("tokens", "ids", "rank", *_NUMBERS)}
    forced: list[int] = []
    inexact: list[int] = []
    ends: list[int] = []
    for stretch in reply.from_place(start):
        if stretch.told is not None:
            for name, numbers in told_numbers(stretch.told).items():
                columns[name] += numbers
            continue
        columns["ids"] += stretch.ids
        columns["tokens"] += [reply.names(token_id) for token_id in stretch.ids]
        if stretch.trace is None:
            for name in ("rank", *_NUMBERS):
                columns[name] += [None] * len(stretch.ids)
            continue
        found = values(stretch.trace)
        columns["rank"] += found.rank.tolist()
        for name in _NUMBERS:
            columns[name] += short(getattr(found, name))
        forced += places(stretch.trace.columns.forced, stretch.start)
        inexact += places(~found.exact, stretch.start)
        ending = np.isin(stretch.trace.columns.token_id, list(stretch.trace.end_ids))
        ends += places(ending, stretch.start)
    return {**columns, "forced": forced, "inexact": inexact, "ends": ends}


def short(numbers: NDArray[np.floating[Any]]) -> list[float | None]:
    """Round to four digits, more than a colour or a line shows; None for NaN, what is not known."""
    return [None if isnan(number) else float(f"{number:.4g}") for number in numbers.tolist()]


def places(mask: NDArray[np.bool_], start: int) -> list[int]:
    """The places that are marked, the first of them `start`."""
    return (np.flatnonzero(mask) + start).tolist()


Asked = Mapping[str, str]


def tokens(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """The tokens from `from` on, and whether more are to come."""
    start = number(asked, "from", 0)
    return {
        "state": state(reply.growing),
        "from": start,
        "count": reply.count,
        "recorded": reply.recorded,
        "note": _note(reply),
        **heat(reply, start),
    }


def waterfall(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """How the token at `place` was chosen."""
    place = number(asked, "place")
    if (told := reply.told_at(place)) is not None:
        return remote_waterfall_json(told, place)
    return waterfall_json(reply, place, read_changes(asked.get("changes")))


def what_if(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """Where `changes` of its settings would have made it another reply."""
    return asked_of(reply, read_changes(asked.get("changes")))


def settings(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """Its settings, as controls are made from them."""
    return knobs(reply) | _why(reply)


def ablate(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """What each of its settings did."""
    return audited(reply) | _why(reply)


def prompt(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """What the model read before it."""
    return xray(reply) | _why(reply)


def state(generation: Reply | None) -> str:
    """What the reply is doing."""
    return (generation.snapshot().state if generation else State.FINISHED).value


def number(asked: Asked, name: str, default: int | None = None) -> int:
    """A whole number of at least 0 that was asked with. Raises InvalidMessage."""
    text = asked.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise InvalidMessage(f"{name} is a whole number of at least 0, not {text[:20]!r}")
    return int(text)


def _why(reply: ReplyUnderGlass) -> dict[str, Any]:
    """Why a question cannot be answered, where that is so."""
    return {"why": _(WHY)} if reply.elsewhere else {}


def _note(reply: ReplyUnderGlass) -> str:
    if not reply.recorded and reply.count:
        return _("Nothing was recorded of how this reply was chosen.")
    if reply.elsewhere:
        return _(WHY)
    if reply.count and not reply.names.known:
        return _(
            "This reply is another model's than the one that runs now: its tokens have numbers "
            "and no names here."
        )
    return ""
