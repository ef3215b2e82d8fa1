"""What the glass box's page asks of a reply, each with its answer in plain data."""

from collections.abc import Mapping
from typing import Any

from glasschat.engine import Reply, State
from glasschat.errors import InvalidMessage
from glasschat.web.glass.heat import heat
from glasschat.web.glass.params_patch import read_changes
from glasschat.web.glass.remote_reply import WHY, told_fall
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.glass.waterfall import fall
from glasschat.web.glass.what_if import asked as asked_of
from glasschat.web.glass.what_if import audited, knobs
from glasschat.web.glass.xray import xray
from glasschat.web.language import _

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
        return told_fall(told, place)
    return fall(reply, place, read_changes(asked.get("changes")))


def what_if(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """Where `changes` of its settings would have made it another reply."""
    return asked_of(reply, read_changes(asked.get("changes")))


def settings(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
    """Its settings, as controls are made from them."""
    return knobs(reply) | _why(reply)


def audit(reply: ReplyUnderGlass, asked: Asked) -> dict[str, Any]:
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
