"""The classes of custom stages: read once, instantiated for each reply."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from glasschat.errors import InvalidStage, ParameterError, StageNotHere
from glasschat.messages import Message
from glasschat.sampling.custom.guard import GuardedStage, describe_error
from glasschat.sampling.custom.stage import CustomStage, Value, is_name
from glasschat.sampling.custom.stage_setting import StageSetting, as_label
from glasschat.sampling.grammar import Grammar
from glasschat.sampling.params import DEFAULT_ORDER, SamplingParams
from glasschat.sampling.stages import Stage, StageKind

# Names that records and pages use for something else.
_TAKEN = frozenset({*DEFAULT_ORDER, Grammar.name, "raw", "softmax", "draw"})


@dataclass(frozen=True, slots=True)
class StageClass:
    """The class of a custom stage with its name, kind and settings.

    `label` is the class's attribute of that name, or its name as words; `help` is the first line of
    its docstring.
    """

    name: str
    kind: StageKind
    label: str
    help: str
    settings: tuple[StageSetting, ...]
    maker: type[Any] = field(repr=False)

    @classmethod
    def of(cls, maker: Any, source: str) -> "StageClass":
        """Read a frozen dataclass; errors call it `source`. Raises InvalidStage."""
        if not isinstance(maker, type) or not is_dataclass(maker):
            raise InvalidStage(
                "the stage {source} is no dataclass: see docs/own-stage.md", source=source
            )
        if not maker.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise InvalidStage(
                "the stage {source} is not frozen, and what it remembers would make replies "
                "impossible to repeat: write @dataclass(frozen=True)",
                source=source,
            )
        items = [f for f in fields(maker) if f.init and f.name not in ("name", "kind")]
        try:
            hints = get_type_hints(maker)
        except Exception as error:
            raise InvalidStage(
                "the stage {source} has types that cannot be read: {error}",
                source=source,
                error=describe_error(error),
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

    def configure(self, settings: Mapping[str, Any]) -> CustomStage:
        """Return the stage with these settings and defaults for the rest. Raises ParameterError."""
        known = {setting.name: setting for setting in self.settings}
        for name in settings:
            if name not in known:
                allowed = Message("set by {settings}", settings=", ".join(known))
                if not known:
                    allowed = Message("a stage without settings")
                raise ParameterError(self.name, allowed, name)
        values = {
            name: setting.validate(settings.get(name, setting.default))
            for name, setting in known.items()
        }
        return CustomStage.of(self.name, self.kind, values)

    def usable_settings(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """Return those of the values that the class still takes, and its defaults for the rest."""
        usable = {}
        for setting in self.settings:
            try:
                usable[setting.name] = setting.validate(settings.get(setting.name, setting.default))
            except ParameterError:
                usable[setting.name] = setting.default
        return usable

    def build(self, custom: CustomStage) -> Stage:
        """Instantiate the stage for one reply. Raises ParameterError for values it refuses."""
        if custom.kind != self.kind:
            raise ParameterError(
                Message("the kind of {name}", name=self.name), self.kind, custom.kind
            )
        values = self.configure(custom.values).values
        given = {s.name: s.for_class(values[s.name]) for s in self.settings}
        try:
            stage: Stage = self.maker(**given)
        except (Exception, SystemExit) as error:
            allowed = Message(
                "made with settings that go together ({error})", error=describe_error(error)
            )
            raise ParameterError(self.name, allowed, values) from error
        return GuardedStage(CustomStage.of(self.name, self.kind, values), stage)


@dataclass(frozen=True, slots=True)
class StageClasses:
    """The classes of custom stages that a server has, in the order in which they were named.

    Raises InvalidStage where two have the same name.
    """

    classes: tuple[StageClass, ...] = ()

    def __post_init__(self) -> None:
        names = [one.name for one in self.classes]
        for name in names:
            if names.count(name) > 1:
                raise InvalidStage(
                    "two stages are named {name}: give one of them another name", name=name
                )

    def __iter__(self) -> Iterator[StageClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def get(self, name: str) -> StageClass:
        """Return the class of that name. Raises StageNotHere."""
        for one in self.classes:
            if one.name == name:
                return one
        raise StageNotHere(name)

    def build(self, custom: CustomStage) -> Stage:
        """Instantiate the stage for one reply. Raises StageNotHere, ParameterError."""
        return self.get(custom.name).build(custom)

    def configure(self, wanted: Mapping[str, Mapping[str, Any]]) -> tuple[CustomStage, ...]:
        """Return the named stages with their settings. Raises StageNotHere, ParameterError."""
        return tuple(self.get(name).configure(settings) for name, settings in wanted.items())

    @classmethod
    def of(cls, makers: Iterable[Any]) -> "StageClasses":
        """Read some frozen dataclasses. Raises InvalidStage."""
        return cls(tuple(StageClass.of(m, getattr(m, "__name__", repr(m))) for m in makers))


NO_STAGES = StageClasses()


def _name_and_kind(maker: Any, source: str) -> tuple[str, StageKind]:
    """Return name and kind of a default instance that can be called. Raises InvalidStage."""
    try:
        stage = maker()
        name, kind = stage.name, stage.kind
    except (Exception, SystemExit) as error:
        raise InvalidStage(
            "the stage {source} cannot be made with its defaults: {error}",
            source=source,
            error=describe_error(error),
        ) from error
    if not is_name(name):
        raise InvalidStage(
            "the stage {source} has the name {name}: letters, digits and _, at most 40",
            source=source,
            name=repr(name),
        )
    if name in _TAKEN or hasattr(SamplingParams, name):
        raise InvalidStage(
            "the stage {source} has the name {name}, which is one of glasschat's own",
            source=source,
            name=name,
        )
    if kind not in get_args(StageKind):
        raise InvalidStage(
            "the stage {source} has the kind {kind}: processor or warper",
            source=source,
            kind=repr(kind),
        )
    try:
        inspect.signature(stage).bind(None, None)
    except (TypeError, ValueError) as error:
        raise InvalidStage(
            "the stage {source} cannot be called with scores and context: {error}",
            source=source,
            error=describe_error(error),
        ) from error
    return name, kind


def _first_line(maker: type[Any]) -> str:
    """Return the first line of a docstring, "" for the one that dataclasses generate."""
    text = inspect.cleandoc(maker.__doc__ or "")
    return "" if text.startswith(f"{maker.__name__}(") else text.partition("\n")[0]
