"""Placeholders: where the template puts each message, found without showing it the contents.

The template is rendered with one private-use character in the place of each content. What a
template may do to a content that shows is to trim it, so the blanks around a content are given too,
in renders of their own, and compared with a render without any: what is there more has survived.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glasschat.errors import InvalidMessage, TemplateError
from glasschat.prompt.messages import ChatMessage

_PRIVATE = re.compile("[\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_PLANES = ((0xF0000, 0xFFFFE), (0x100000, 0x10FFFE))

Render = Callable[[list[str]], str]


@dataclass(frozen=True, slots=True)
class RenderedLayout:
    """`texts[0]`, content of `order[0]`, `texts[1]`, …: one text more than contents.

    `shown[i]` is what the template leaves of message i.
    """

    texts: tuple[str, ...]
    order: tuple[int, ...]
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _ContentEdges:
    """A content in three parts. An all-blank one is its own lead and its own trail."""

    lead: str
    core: str
    trail: str

    @classmethod
    def of(cls, message: ChatMessage) -> "_ContentEdges":
        """Split a message's text; one with ids is not split."""
        text = message.text
        if message.ids is not None:
            return cls("", text, "")
        core = text.strip()
        if not core:
            return cls(text, "", text)
        start = len(text) - len(text.lstrip())
        return cls(text[:start], core, text[start + len(core) :])

    def rejoin(self, lead: str, trail: str) -> str:
        """Return the content with what the template left of its blanks."""
        if self.core:
            return lead + self.core + trail
        return self.lead[len(self.lead) - len(lead) : len(trail)]


def locate_contents(render: Render, messages: Sequence[ChatMessage], source: str) -> RenderedLayout:
    """Find the place and the shown text of every message.

    `render` takes one content for each message. Raises TemplateError when a message is left out,
    shown twice, or changed in another way than by trimming.
    """
    marks = placeholders(len(messages), [source, *(message.text for message in messages)])
    edges = [_ContentEdges.of(message) for message in messages]
    order, texts = _split(render(list(marks)), marks, messages)

    def excess(contents: list[str], leading: bool) -> list[str]:
        found, parts = _split(render(contents), marks, messages)
        survivors = [""] * len(messages)
        if found != order:
            raise _changed(messages, 0)
        for place, index in enumerate(order):
            bare = texts[place if leading else place + 1]
            part = parts[place if leading else place + 1]
            edge = edges[index]
            more = part[len(bare) :] if leading else part[: len(part) - len(bare)]
            kept = edge.lead.endswith(more) if leading else edge.trail.startswith(more)
            if not kept or part != (bare + more if leading else more + bare):
                raise _changed(messages, index)
            survivors[index] = more
        return survivors

    leads = trails = [""] * len(messages)
    if any(edge.lead for edge in edges):
        leads = excess([e.lead + mark for e, mark in zip(edges, marks, strict=True)], True)
    if any(edge.trail for edge in edges):
        trails = excess([mark + e.trail for e, mark in zip(edges, marks, strict=True)], False)
    shown = [
        edge.rejoin(lead, trail) for edge, lead, trail in zip(edges, leads, trails, strict=True)
    ]
    return RenderedLayout(tuple(texts), tuple(order), tuple(shown))


def placeholders(count: int, texts: Sequence[str]) -> str:
    """Return `count` neighbouring private-use characters that occur in none of `texts`."""
    used = sorted({ord(mark) for text in texts for mark in _PRIVATE.findall(text)})
    for first, end in _PLANES:
        start = first
        for taken in [*(code for code in used if first <= code < end), end]:
            if taken - start >= count:
                return "".join(map(chr, range(start, start + count)))
            start = taken + 1
    raise InvalidMessage(
        "the messages hold so many private-use characters that none is left to mark their "
        "places: leave some out"
    )


def _split(text: str, marks: str, messages: Sequence[ChatMessage]) -> tuple[list[int], list[str]]:
    """Return the messages in the order in which they show in `text`, and the texts around them."""
    parts = re.split(f"([{marks[0]}-{marks[-1]}])", text)
    order = [ord(mark) - ord(marks[0]) for mark in parts[1::2]]
    for index, message in enumerate(messages):
        times = order.count(index) if len(order) != len(messages) else index in order
        if times == 1:
            continue
        if times:
            raise TemplateError(
                "the model's chat template shows message {index} ({role}) {times} times",
                index=index,
                role=message.role,
                times=times,
            )
        if message.role == "system":
            raise InvalidMessage(
                "the model's chat template leaves the system prompt of these messages out: clear "
                "it, or put it in front of the first message"
            )
        raise TemplateError(
            "the model's chat template leaves out message {index} ({role})",
            index=index,
            role=message.role,
        )
    return order, parts[0::2]


def _changed(messages: Sequence[ChatMessage], index: int) -> TemplateError:
    """Return the error for blanks that were changed in another way than by trimming."""
    return TemplateError(
        "the model's chat template changes the blanks around message {index} ({role}) in a way "
        "that is not trimming: remove them",
        index=index,
        role=messages[index].role,
    )
