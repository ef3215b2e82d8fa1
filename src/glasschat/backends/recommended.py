"""What a model's makers recommend, as far as replies can be made with it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from glasschat.errors import ParameterError
from glasschat.sampling import SamplingParams


def usable(recommended: Mapping[str, float]) -> dict[str, float]:
    """The recommendations that a reply can be made with; a stranger wrote them."""
    usable: dict[str, float] = {}
    for name, value in recommended.items():
        # A whole number is often written as a float.
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        setting: dict[str, Any] = {name: number}
        with suppress(ParameterError):
            usable[name] = getattr(SamplingParams(**setting), name)
    return usable
