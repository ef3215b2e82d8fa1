"""The order of stages: those that come with glasschat, with custom stages among them."""

from collections.abc import Sequence
from typing import Any

from glasschat.errors import ParameterError
from glasschat.sampling.custom.stage import CustomStage

PROCESSORS = (
    "logit_bias",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "no_repeat_ngram_size",
    "min_new_tokens",
)
WARPERS = ("temperature", "top_k", "top_p", "min_p", "typical_p")

# Order is data: processors first, then warpers, as transformers runs them.
DEFAULT_ORDER: tuple[str, ...] = (*PROCESSORS, *WARPERS)

MAX_CUSTOM_STAGES = 16
"""The most custom stages that one reply may have."""


def validate_custom_stages(own: Any) -> tuple[CustomStage, ...]:
    """The stages of one's own that a reply has. Raises ParameterError."""
    allowed = f"at most {MAX_CUSTOM_STAGES} stages of one's own, each once and by a name of its own"
    if isinstance(own, str) or not isinstance(own, Sequence) or len(own) > MAX_CUSTOM_STAGES:
        raise ParameterError("own_stages", allowed, own)
    if not all(isinstance(stage, CustomStage) for stage in own):
        raise ParameterError("own_stages", allowed, own)
    names = [stage.name for stage in own]
    if len({*names, *DEFAULT_ORDER}) < len(names) + len(DEFAULT_ORDER):
        raise ParameterError("own_stages", allowed, tuple(names))
    return tuple(own)


def validate_order(order: Any, own: Sequence[CustomStage]) -> tuple[str, ...]:
    """The order, with those of one's own in it that it does not name.

    A processor goes behind the last processor, a warper to the end. Raises ParameterError.
    """
    wanted = (*DEFAULT_ORDER, *(stage.name for stage in own))
    allowed = f"each of {', '.join(wanted)} once, in any order"
    names = not isinstance(order, str) and isinstance(order, Sequence)
    if not names or not all(isinstance(name, str) for name in order):
        raise ParameterError("stages", allowed, order)
    placed = list(order)
    processors = {*PROCESSORS, *(stage.name for stage in own if stage.kind == "processor")}
    for stage in own:
        if stage.name not in placed:
            last = max((at for at, name in enumerate(placed) if name in processors), default=-1)
            placed.insert(last + 1 if stage.kind == "processor" else len(placed), stage.name)
    if sorted(placed) != sorted(wanted):
        raise ParameterError("stages", allowed, tuple(order))
    return tuple(placed)
