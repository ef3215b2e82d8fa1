"""What the model read before a reply: every token with where it came from."""

import re
from itertools import accumulate
from typing import Any

from glasschat.chat import Node
from glasschat.prompt import PromptEncoding
from glasschat.web.glass.reply import ReplyUnderGlass

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
