"""What a setting is: one row of the table of settings.

The table itself is `SamplingParams`: each of its fields is a row, made with `setting`, and
`glasschat.sampling.params.SETTINGS` has them by name. Everything that deals with settings reads it:
validation, the stages and their order, fields of the API, flags, presets, widgets, what other
servers take, ablation, what a model's files recommend. See docs/decisions/settings-table.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.sampling.stages import Stage, StageKind

Kind = Literal["bool", "int", "float", "bias", "texts", "ids", "order", "custom"]
"""The type of a value: `bias` maps token ids to numbers, `order` is that of stages, `custom` are
custom stages; `texts` and `ids` are tuples."""

Build = Callable[[Any], Stage | None]
"""Makes the stage that SamplingParams ask for; None where it would do nothing."""

_SAME: Any = object()
_WIRE_NAMES = {"llama_server": "llama-server"}


def N_(text: str) -> str:  # noqa: N802 - the mark by which translations are collected
    """Mark a text for the catalogues of translations."""
    return text


class Group(StrEnum):
    """What a preset does with a setting."""

    SAMPLING = "sampling"
    """How tokens are chosen: every preset decides it."""
    LIMIT = "limit"
    """What a reply is for: a preset decides it where it names it."""
    NONE = ""
    """No preset has it."""


@dataclass(frozen=True, slots=True)
class StageSlot:
    """The stage that a setting turns on: its name in the order of stages, its kind, its maker.

    `place` sorts the default order. `optional` is a stage that an order need not name: it came
    later than the first orders that people wrote and stored.
    """

    name: str
    kind: StageKind
    place: int
    build: Build
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table.

    `off` is the neutral value: with it the setting does nothing. `low` and `high` are the range of
    a number, `open_low` leaves `low` itself out. `part_of` names the setting that turns this one
    on. `shapes_choice` says that it can change which token is chosen; `beside` names the setting
    whose stage it changes, though it can be off by itself. `wire` maps kinds of servers and files
    to the setting's name there, `wire_off` to the neutral value where that is another
    one; `sampler` is what llama-server calls the stage in its order. `plausible` is the range
    outside which a recommendation is taken for a mistake. `label`, `help` and `step` are for a
    widget; the first two are messages.
    """

    name: str
    kind: Kind
    default: Any
    off: Any
    summary: str
    group: Group
    low: float
    high: float
    open_low: bool
    stage: StageSlot | None
    part_of: str
    shapes_choice: bool
    beside: str
    wire: Mapping[str, str]
    wire_off: Mapping[str, Any]
    sampler: str
    plausible: tuple[float, float]
    label: str
    help: str
    step: float

    @property
    def is_number(self) -> bool:
        """Whether the value is a number with a range."""
        return self.kind in ("int", "float")

    @property
    def api_name(self) -> str | None:
        """The field of glasschat's own API that holds this setting alone, None without one."""
        same = self.name if self.wire.get("openai") == self.name else None
        return self.wire.get("glasschat", same)

    @property
    def beyond_openai(self) -> bool:
        """Whether OpenAI's interface has no field for it."""
        return "openai" not in self.wire

    def validate(self, value: Any) -> Any:
        """Return the value in the setting's own type. Raises ParameterError."""
        if self.is_number:
            return self._validate_number(value)
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise ParameterError(self.name, "true or false", value)
            return value
        check = _CHECKS.get(self.kind)
        return value if check is None else check(self.name, value)

    @property
    def range_text(self) -> Message:
        """The range of a number in words."""
        if self.kind == "int":
            return Message("a whole number between {low} and {high}", low=self.low, high=self.high)
        if self.open_low:
            return Message(
                "a number above {low:g} and at most {high:g}", low=self.low, high=self.high
            )
        return Message("a number between {low:g} and {high:g}", low=self.low, high=self.high)

    def _validate_number(self, value: Any) -> Any:
        if value is None and self.default is None:
            return None
        whole = self.kind == "int"
        wrong = ParameterError(self.name, self.range_text, value)
        if isinstance(value, bool) or not hasattr(value, "__index__" if whole else "__float__"):
            raise wrong
        try:
            number = int(value) if whole else float(value)
        except (TypeError, ValueError, OverflowError):  # an array, or a number beyond every float
            raise wrong from None
        if not self.low <= number <= self.high:  # a NaN is not, either
            raise wrong
        if self.open_low and number == self.low:
            raise wrong
        return number


def setting(
    default: Any,
    summary: str,
    *,
    kind: Kind | None = None,
    off: Any = _SAME,
    range: tuple[float, float] = (0, 0),
    open_low: bool = False,
    stage: StageSlot | None = None,
    part_of: str = "",
    shapes_choice: bool = False,
    beside: str = "",
    wire: Mapping[str, str] | None = None,
    wire_off: Mapping[str, Any] | None = None,
    sampler: str = "",
    plausible: tuple[float, float] | None = None,
    widget: tuple[str, str, float] | tuple[str] = ("",),
    factory: Callable[[], Any] | None = None,
    group: Group = Group.NONE,
) -> Any:
    """Return the field of SamplingParams that is this row; its name is the field's.

    A number has a `range`, whose type is its own. `widget` is label, help and step. `factory` makes
    a default that is not known yet, or may not be shared.
    """
    label, help_, step = (*widget, "", 0.0)[:3]
    row = Setting(
        name="",
        kind=kind or _kind_of(default, range),
        default=default,
        off=default if off is _SAME else off,
        summary=summary,
        group=group,
        low=range[0],
        high=range[1],
        open_low=open_low,
        stage=stage,
        part_of=part_of,
        shapes_choice=shapes_choice or stage is not None or bool(part_of or beside),
        beside=beside,
        wire=MappingProxyType(dict(wire or {})),
        wire_off=MappingProxyType(dict(wire_off or {})),
        sampler=sampler,
        plausible=plausible or range,
        label=str(label),
        help=str(help_),
        step=float(step) if isinstance(range[0], float) else int(step),
    )
    metadata = {"setting": row}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


sampling = partial(setting, group=Group.SAMPLING)
"""A setting of how tokens are chosen."""

limit = partial(setting, group=Group.LIMIT)
"""A setting of what a reply is for."""


def _kind_of(default: Any, bounds: tuple[float, float]) -> Kind:
    if isinstance(default, bool):
        return "bool"
    return "float" if isinstance(bounds[0], float) else "int"


def wire(same: str = "", **other: str) -> dict[str, str]:
    """Return the names on the wire: the setting's own at the kinds in `same`, or what is given."""
    names = dict.fromkeys(same.split(), "")
    return names | {_WIRE_NAMES.get(kind, kind): name for kind, name in other.items()}


def read_table(params: Any) -> Mapping[str, Setting]:
    """Return the rows of the fields of a dataclass by name."""
    table: dict[str, Setting] = {}
    for item in fields(params):
        row: Setting = item.metadata["setting"]
        names = {kind: name or item.name for kind, name in row.wire.items()}
        table[item.name] = replace(row, name=item.name, wire=MappingProxyType(names))
    return MappingProxyType(table)


def _check_bias(name: str, bias: Any) -> Mapping[int, float]:
    allowed = Message(
        "a mapping of token ids to numbers between -1e38 and 1e38 (-inf forbids a token)"
    )
    if not isinstance(bias, Mapping):
        raise ParameterError(name, allowed, bias)
    checked: dict[int, float] = {}
    for token_id, value in bias.items():
        if isinstance(token_id, bool) or not hasattr(token_id, "__index__") or int(token_id) < 0:
            raise ParameterError(name, allowed, token_id)
        checked[int(token_id)] = _check_bias_value(name, value, allowed)
    return MappingProxyType(checked)


def _check_bias_value(name: str, value: Any, allowed: str) -> float:
    wrong = ParameterError(name, allowed, value)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise wrong
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if number != -math.inf and not abs(number) <= 1e38:
        raise wrong
    return number


def _check_texts(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(t, str) and t for t in texts):
        raise ParameterError(name, "one or more texts that are not empty", value)
    return tuple(texts)


def _check_ids(name: str, ids: Any) -> tuple[int, ...]:
    listed = isinstance(ids, Sequence) and not isinstance(ids, str | bytes)
    if not listed or not all(
        hasattr(i, "__index__") and not isinstance(i, bool) and int(i) >= 0 for i in ids
    ):
        raise ParameterError(name, "token ids of at least 0", ids)
    return tuple(int(i) for i in ids)


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType(
    {"bias": _check_bias, "texts": _check_texts, "ids": _check_ids}
)
