"""A class that is a stage of one's own: read once, made anew for each reply."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from glasschat.errors import InvalidStage, ParameterError, StageNotHere
from glasschat.sampling.grammar import Grammar
from glasschat.sampling.order import DEFAULT_ORDER
from glasschat.sampling.own.asked import OwnStage, Value, is_name
from glasschat.sampling.own.fence import GuardedStage, told
from glasschat.sampling.own.stage_setting import StageSetting, as_label
from glasschat.sampling.params import SamplingParams
from glasschat.sampling.stages import Stage, StageKind

# What records and pages call something else.
_TAKEN = frozenset({*DEFAULT_ORDER, Grammar.name, "raw", "softmax", "draw"})


@dataclass(frozen=True, slots=True)
class StageClass:
    """A stage by its class: name, kind and settings.

    `label` and `help` are the class's own words: its attribute `label`, or the name, and the first
    line of its docstring.
    """

    name: str
    kind: StageKind
    label: str
    help: str
    settings: tuple[StageSetting, ...]
    maker: type[Any] = field(repr=False)

    @classmethod
    def of(cls, maker: Any, source: str) -> "StageClass":
        """That of a frozen dataclass, called `source` in errors. Raises InvalidStage."""
        if not isinstance(maker, type) or not is_dataclass(maker):
            raise InvalidStage(f"the stage {source} is no dataclass: see docs/own-stage.md")
        if not maker.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise InvalidStage(
                f"the stage {source} is not frozen, and what it remembers would make replies "
                "impossible to repeat: write @dataclass(frozen=True)"
            )
        items = [f for f in fields(maker) if f.init and f.name not in ("name", "kind")]
        try:
            hints = get_type_hints(maker)
        except Exception as error:
            raise InvalidStage(
                f"the stage {source} has types that cannot be read: {told(error)}"
            ) from error
        settings = [StageSetting.of(source, item, hints[item.name]) for item in items]
        name, kind = _name_and_kind(maker, source)
        label = getattr(maker, "label", None)
        return cls(
            name=name,
            kind=kind,
            label=label if isinstance(label, str) and label else as_label(name),
            help=_first_line(maker),
            settings=tuple(replace(setting, stage=name) for setting in settings),
            maker=maker,
        )

    def asked(self, settings: Mapping[str, Any]) -> OwnStage:
        """The stage with these settings, and its defaults for the others. Raises ParameterError."""
        known = {setting.name: setting for setting in self.settings}
        for name in settings:
            if name not in known:
                allowed = "a stage without settings" if not known else f"set by {', '.join(known)}"
                raise ParameterError(self.name, allowed, name)
        values = {
            name: setting.checked(settings.get(name, setting.default))
            for name, setting in known.items()
        }
        return OwnStage.of(self.name, self.kind, values)

    def fitting(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """What of these settings it has, and its defaults for what it has not, or not any more."""
        found = {}
        for setting in self.settings:
            try:
                found[setting.name] = setting.checked(settings.get(setting.name, setting.default))
            except ParameterError:
                found[setting.name] = setting.default
        return found

    def build(self, asked: OwnStage) -> Stage:
        """The stage for one reply. Raises ParameterError for settings that it does not take."""
        if asked.kind != self.kind:
            raise ParameterError(f"the kind of {self.name}", self.kind, asked.kind)
        values = self.asked(asked.values).values
        given = {s.name: s.for_class(values[s.name]) for s in self.settings}
        try:
            stage: Stage = self.maker(**given)
        except (Exception, SystemExit) as error:
            allowed = f"made with settings that go together ({told(error)})"
            raise ParameterError(self.name, allowed, values) from error
        return GuardedStage(OwnStage.of(self.name, self.kind, values), stage)


@dataclass(frozen=True, slots=True)
class StageClasses:
    """The classes that are at hand, in the order in which they were named.

    Raises InvalidStage where two have one name.
    """

    classes: tuple[StageClass, ...] = ()

    def __post_init__(self) -> None:
        names = [one.name for one in self.classes]
        for name in names:
            if names.count(name) > 1:
                raise InvalidStage(f"two stages are named {name}: give one of them another name")

    def __iter__(self) -> Iterator[StageClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def get(self, name: str) -> StageClass:
        """The class of that name. Raises StageNotHere."""
        for one in self.classes:
            if one.name == name:
                return one
        raise StageNotHere(name)

    def build(self, asked: OwnStage) -> Stage:
        """The stage for one reply. Raises StageNotHere, ParameterError."""
        return self.get(asked.name).build(asked)

    def asked(self, wanted: Mapping[str, Mapping[str, Any]]) -> tuple[OwnStage, ...]:
        """Those named, each with its settings. Raises StageNotHere, ParameterError."""
        return tuple(self.get(name).asked(settings) for name, settings in wanted.items())

    @classmethod
    def of(cls, makers: Iterable[Any]) -> "StageClasses":
        """Those of some dataclasses. Raises InvalidStage."""
        return cls(tuple(StageClass.of(m, getattr(m, "__name__", repr(m))) for m in makers))


NO_STAGES = StageClasses()


def _name_and_kind(maker: Any, source: str) -> tuple[str, StageKind]:
    """What the class says of itself, and whether it can be called. Raises InvalidStage."""
    try:
        stage = maker()
        name, kind = stage.name, stage.kind
    except (Exception, SystemExit) as error:
        raise InvalidStage(
            f"the stage {source} cannot be made with its defaults: {told(error)}"
        ) from error
    if not is_name(name):
        raise InvalidStage(
            f"the stage {source} has the name {name!r}: letters, digits and _, at most 40"
        )
    if name in _TAKEN or hasattr(SamplingParams, name):
        raise InvalidStage(
            f"the stage {source} has the name {name}, which is one of glasschat's own"
        )
    if kind not in get_args(StageKind):
        raise InvalidStage(f"the stage {source} has the kind {kind!r}: processor or warper")
    try:
        inspect.signature(stage).bind(None, None)
    except (TypeError, ValueError) as error:
        raise InvalidStage(
            f"the stage {source} cannot be called with scores and context: {told(error)}"
        ) from error
    return name, kind


def _first_line(maker: type[Any]) -> str:
    """Of its docstring; what dataclasses write for one that has none is no help."""
    text = inspect.cleandoc(maker.__doc__ or "")
    return "" if text.startswith(f"{maker.__name__}(") else text.partition("\n")[0]
