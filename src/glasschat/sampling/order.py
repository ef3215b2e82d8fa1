"""The order of stages: those that come with glasschat, with custom stages among them."""

from collections.abc import Mapping, Sequence
from typing import Any

from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.settings import StageSlot

MAX_CUSTOM_STAGES = 16
"""The most custom stages that one reply may have."""


def validate_custom_stages(custom: Any, built_in: Sequence[str]) -> tuple[CustomStage, ...]:
    """Return the custom stages of a reply as a tuple.

    Raises ParameterError for too many, for a name given twice and for one of `built_in`.
    """
    allowed = Message(
        "at most {most} stages of one's own, each once and by a name of its own",
        most=MAX_CUSTOM_STAGES,
    )
    if isinstance(custom, str) or not isinstance(custom, Sequence):
        raise ParameterError("own_stages", allowed, custom)
    if len(custom) > MAX_CUSTOM_STAGES or not all(isinstance(s, CustomStage) for s in custom):
        raise ParameterError("own_stages", allowed, custom)
    names = [stage.name for stage in custom]
    if len({*names, *built_in}) < len(names) + len(built_in):
        raise ParameterError("own_stages", allowed, tuple(names))
    return tuple(custom)


def validate_order(
    order: Any, custom: Sequence[CustomStage], built_in: Mapping[str, StageSlot]
) -> tuple[str, ...]:
    """Return the order with all stages in it; `built_in` is in the default order.

    A custom processor that the order leaves out goes behind the last processor, a custom warper to
    the end; a built-in stage that may be left out goes behind the one that precedes it by default.
    Raises ParameterError.
    """
    wanted = (*built_in, *(stage.name for stage in custom))
    allowed = Message("each of {stages} once, in any order", stages=", ".join(wanted))
    names = not isinstance(order, str) and isinstance(order, Sequence)
    if not names or not all(isinstance(name, str) for name in order):
        raise ParameterError("stages", allowed, order)
    placed = list(order)
    _place_optional(placed, built_in)
    processors = {slot.name for slot in built_in.values() if slot.kind == "processor"}
    processors |= {stage.name for stage in custom if stage.kind == "processor"}
    for stage in custom:
        if stage.name not in placed:
            last = max((at for at, name in enumerate(placed) if name in processors), default=-1)
            placed.insert(last + 1 if stage.kind == "processor" else len(placed), stage.name)
    if sorted(placed) != sorted(wanted):
        raise ParameterError("stages", allowed, tuple(order))
    return tuple(placed)


def _place_optional(placed: list[str], built_in: Mapping[str, StageSlot]) -> None:
    before: list[str] = []
    for name, slot in built_in.items():
        if slot.optional and name not in placed:
            at = next((placed.index(one) + 1 for one in reversed(before) if one in placed), 0)
            placed.insert(at, name)
        before.append(name)
