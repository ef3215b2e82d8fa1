"""Imports custom stages by name: `module:name`, or an entry point of an installed package.

Only what is named is imported: a package that offers a stage runs no code unasked.
"""

import importlib
from collections.abc import Iterable
from functools import reduce
from typing import Any

from glasschat.errors import InvalidStage
from glasschat.sampling.custom.guard import describe_error
from glasschat.sampling.custom.stage_class import StageClass, StageClasses

ENTRY_POINT_GROUP = "glasschat.stages"
"""The entry-point group under which packages offer stages."""


def load_stages(names: Iterable[str]) -> StageClasses:
    """Import the stages of those names. Raises InvalidStage."""
    return StageClasses(tuple(StageClass.of(_load(name), name) for name in names))


def _load(name: str) -> Any:
    path = name if ":" in name else _resolve_entry_point(name)
    module, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise InvalidStage("the stage {name} has to be named as module:name", name=repr(name))
    return _import_attribute(module, attribute, name)


def _resolve_entry_point(name: str) -> str:
    """Return the entry point of that name as module:name. Raises InvalidStage."""
    # Imported here: it takes longer than everything else that the command line imports.
    from importlib.metadata import entry_points

    offered = entry_points(group=ENTRY_POINT_GROUP)
    # One distribution may be found twice, in two folders of the path.
    found = sorted({f"{p.module}:{p.attr}" for p in offered if p.name == name})
    if len(found) > 1:
        raise InvalidStage(
            "several packages offer a stage {name}: name one as {found}",
            name=name,
            found=" or ".join(found),
        )
    if not found:
        names = ", ".join(sorted({point.name for point in offered})) or "none"
        raise InvalidStage(
            "no installed package offers a stage {name} (offered: {names}): name a class as "
            "module:name",
            name=repr(name),
            names=names,
        )
    return found[0]


def _import_attribute(module: str, attribute: str, name: str) -> Any:
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        # The module itself may exist, and import another one that does not.
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module}.".startswith(f"{missing}."):
            raise InvalidStage(
                "the stage {name}: there is no module {missing} in this folder or among the "
                "installed packages",
                name=name,
                missing=missing,
            ) from None
        raise InvalidStage(
            "the stage {name}: its module fails: {error}", name=name, error=describe_error(error)
        ) from error
    try:
        return reduce(getattr, attribute.split("."), loaded)
    except AttributeError:
        raise InvalidStage(
            "the stage {name}: the module {module} has no {attribute}",
            name=name,
            module=module,
            attribute=attribute,
        ) from None
