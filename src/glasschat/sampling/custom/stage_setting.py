"""The settings of a custom stage: the fields of its dataclass, with what a widget needs."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from glasschat.errors import InvalidStage, ParameterError
from glasschat.messages import Message
from glasschat.sampling.custom.stage import LARGEST, LONGEST_TEXT, Value, is_name, is_value

SettingKind = Literal["bool", "int", "float", "str", "choice"]

_KINDS: dict[Any, SettingKind] = {bool: "bool", int: "int", float: "float", str: "str"}
_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": (int, float), "str": str}
_TEXTS, _NUMBERS = ("label", "help"), ("min", "max", "step")
_WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@dataclass(frozen=True, slots=True)
class StageSetting:
    """One field of a custom stage's dataclass.

    `low`, `high` and `step` are for numbers, None where the class does not say. `choices` are what
    a Literal or an Enum allows, an Enum's members by their names; `members` maps these names to the
    members, which is what the class is instantiated with.
    """

    stage: str
    name: str
    kind: SettingKind
    default: Value
    label: str
    help: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[Value, ...] = ()
    members: Mapping[Value, Any] | None = None

    @classmethod
    def of(cls, stage: str, item: "Field[Any]", hint: Any) -> "StageSetting":
        """Read a field and its type. Raises InvalidStage."""
        where = Message("the field {name} of the stage {stage}", name=item.name, stage=stage)
        if not is_name(item.name):
            raise InvalidStage(
                "{where} needs a name of letters, digits and _, at most 40", where=where
            )
        default = _default(item, where)
        members: dict[Value, Any] | None = None
        if isinstance(hint, type) and issubclass(hint, Enum):
            kind: SettingKind = "choice"
            members = {member.name: member for member in hint}
            choices: tuple[Any, ...] = tuple(members)
            default = default.name if isinstance(default, hint) else default
        elif get_origin(hint) is Literal:
            kind, choices = "choice", get_args(hint)
        elif hint in _KINDS:
            kind, choices = _KINDS[hint], ()
        else:
            raise InvalidStage(
                "{where} is of a type that has no widget: use bool, int, float, str, a Literal "
                "or an Enum",
                where=where,
            )
        if not all(is_value(choice) for choice in choices):
            raise InvalidStage("{where} has a choice that is no text and no number", where=where)
        given = _metadata(item.metadata, kind, where)
        found = cls(
            stage=stage,
            name=item.name,
            kind=kind,
            default=default,
            label=given.get("label") or as_label(item.name),
            help=given.get("help", ""),
            low=given.get("min"),
            high=given.get("max"),
            step=given.get("step"),
            choices=choices,
            members=members,
        )
        try:
            object.__setattr__(found, "default", found.validate(default))
        except ParameterError as error:
            raise InvalidStage(
                "{where}: its default {value} is not {allowed}",
                where=where,
                value=repr(error.value),
                allowed=error.allowed,
            ) from None
        return found

    @property
    def allowed(self) -> Message:
        """The allowed values, in words."""
        if self.kind == "bool":
            return Message("true or false")
        if self.kind == "choice":
            return Message("one of {choices}", choices=", ".join(map(str, self.choices)))
        if self.kind == "str":
            return Message("a text of at most {most:,} characters", most=LONGEST_TEXT)
        number = Message("a whole number") if self.kind == "int" else Message("a number")
        low, high = self.low, self.high
        if low is not None and high is not None:
            return Message(
                "{number} between {low:g} and {high:g}", number=number, low=low, high=high
            )
        if low is not None:
            return Message("{number} of at least {low:g}", number=number, low=low)
        if high is not None:
            return Message("{number} of at most {high:g}", number=number, high=high)
        return number

    def validate(self, value: Any) -> Value:
        """Return the value in the field's type. Raises ParameterError."""
        wrong = ParameterError(f"{self.stage}.{self.name}", self.allowed, value)
        if self.kind == "choice":
            # 1 and True are equal in Python: only the one of the same type is meant.
            same = [c for c in self.choices if c == value and type(c) is type(value)]
            if not same:
                raise wrong
            return same[0]
        right = isinstance(value, _TYPES[self.kind]) and is_value(value)
        if not right or isinstance(value, bool) != (self.kind == "bool"):
            raise wrong
        low, high = self.low, self.high
        if (low is not None and value < low) or (high is not None and value > high):
            raise wrong
        found: Value = float(value) if self.kind == "float" else value
        return found

    def read(self, text: str) -> Value:
        """Parse a value typed on a command line. Raises ParameterError."""
        values: dict[str, Any] = {str(choice): choice for choice in self.choices}
        if self.kind == "bool":
            values = dict(_WORDS)
        try:
            typed = {"int": int, "float": float}.get(self.kind, str)(text)
        except ValueError:
            typed = text
        return self.validate(values.get(text, typed))

    def for_class(self, value: Value) -> Any:
        """Return the value that the class is instantiated with."""
        return value if self.members is None else self.members[value]


def as_label(name: str) -> str:
    """Turn a Python name into words for people, "min_p" into "Min p"."""
    words = name.strip("_").replace("_", " ")
    return words[:1].upper() + words[1:]


def _default(item: "Field[Any]", where: str) -> Any:
    if item.default is not MISSING:
        return item.default
    if item.default_factory is not MISSING:
        return item.default_factory()
    raise InvalidStage(
        "{where} has no default: give it one, so that the stage runs as it comes", where=where
    )


def _metadata(metadata: Mapping[Any, Any], kind: SettingKind, where: str) -> dict[str, Any]:
    """Check and return what a field's metadata says for its widget. Raises InvalidStage."""
    known = _TEXTS + (_NUMBERS if kind in ("int", "float") else ())
    for name, value in metadata.items():
        if name not in known:
            raise InvalidStage(
                "{where} has metadata {name}, and a {kind} takes {known} alone",
                where=where,
                name=repr(name),
                kind=kind,
                known=", ".join(known),
            )
        if name in _TEXTS:
            right = isinstance(value, str)
        else:
            whole = isinstance(value, int) and abs(value) <= LARGEST
            right = not isinstance(value, bool) and (
                whole or (kind == "float" and isinstance(value, float) and math.isfinite(value))
            )
        if not right or (name == "step" and value <= 0):
            raise InvalidStage(
                "{where} has metadata {name} that is no such thing: {value}",
                where=where,
                name=repr(name),
                value=repr(value),
            )
    found = dict(metadata)
    if found.get("min", -math.inf) >= found.get("max", math.inf):
        raise InvalidStage("{where} has a min that is not below its max", where=where)
    return found
