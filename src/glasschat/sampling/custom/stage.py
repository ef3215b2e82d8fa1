"""A custom stage as a reply's settings hold it: its name and its values, without its code."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.sampling.stages import StageKind

Value = bool | int | float | str

LONGEST_TEXT = 1000
"""Greatest length of a text value, in characters."""

LARGEST = 2**53 - 1
"""Greatest whole number: scripts on a page count exactly up to it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_MOST_SETTINGS = 50


@dataclass(frozen=True, slots=True)
class CustomStage:
    """A stage that did not come with glasschat, as it is kept with a reply.

    It can be read where the class is not installed; that is why the `kind` is here too. `settings`
    are pairs of field and value, sorted by field. Frozen and hashable.

    Raises ParameterError for a name, a kind or a value that no stage has.
    """

    name: str
    kind: StageKind
    settings: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        if not is_name(self.name):
            allowed = Message("a name of letters, digits and _, at most 40")
            raise ParameterError("own_stages", allowed, self.name)
        if self.kind not in get_args(StageKind):
            raise ParameterError(
                Message("the kind of {name}", name=self.name),
                Message("processor or warper"),
                self.kind,
            )
        given = dict(self.settings)
        if len(given) > _MOST_SETTINGS:
            allowed = Message("at most {most}", most=_MOST_SETTINGS)
            raise ParameterError(
                Message("the number of settings of {name}", name=self.name), allowed, len(given)
            )
        for name, value in given.items():
            if not is_name(name) or not is_value(value):
                allowed = Message("true, false, a number or a short text")
                raise ParameterError(f"{self.name}.{str(name)[:80]}", allowed, str(value)[:80])
        object.__setattr__(self, "settings", tuple(sorted(given.items())))

    @classmethod
    def of(cls, name: str, kind: StageKind, settings: Mapping[str, Value]) -> "CustomStage":
        """Return the stage with its settings given as a mapping. Raises ParameterError."""
        return cls(name, kind, tuple(settings.items()))

    @property
    def values(self) -> dict[str, Value]:
        """The settings as a mapping of field to value."""
        return dict(self.settings)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.settings)})"


def is_name(name: Any) -> bool:
    """Return whether a stage, or a field of one, may have that name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def is_value(value: Any) -> bool:
    """Return whether a value can be a setting, which means that JSON can hold it."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= LARGEST
    return isinstance(value, float) and math.isfinite(value)
