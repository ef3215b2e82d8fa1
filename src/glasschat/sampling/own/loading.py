"""Stages of one's own by their names: `module:name`, or an entry point of an installed package.

Only what is named is imported: a package that offers a stage runs nothing unasked.
"""

import importlib
from collections.abc import Iterable
from functools import reduce
from typing import Any

from glasschat.errors import InvalidStage
from glasschat.sampling.own.fence import told
from glasschat.sampling.own.stage_class import StageClass, StageClasses

GROUP = "glasschat.stages"
"""The group of entry points under which packages offer stages."""


def load_stages(names: Iterable[str]) -> StageClasses:
    """The stages of those names, imported. Raises InvalidStage."""
    return StageClasses(tuple(StageClass.of(_found(name), name) for name in names))


def _found(name: str) -> Any:
    path = name if ":" in name else _offered(name)
    module, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise InvalidStage(f"the stage {name!r} has to be named as module:name")
    return _loaded(module, attribute, name)


def _offered(name: str) -> str:
    """What a package offers under that name, as module:name. Raises InvalidStage."""
    # Here, as it takes longer to import than all else of the command line.
    from importlib.metadata import entry_points

    offered = entry_points(group=GROUP)
    # One distribution may be found twice, in two folders of the path.
    found = sorted({f"{p.module}:{p.attr}" for p in offered if p.name == name})
    if len(found) > 1:
        raise InvalidStage(
            f"several packages offer a stage {name}: name one as {' or '.join(found)}"
        )
    if not found:
        names = ", ".join(sorted({point.name for point in offered})) or "none"
        raise InvalidStage(
            f"no installed package offers a stage {name!r} (offered: {names}): name a class as "
            "module:name"
        )
    return found[0]


def _loaded(module: str, attribute: str, name: str) -> Any:
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        # The module may be there, and lack another one.
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module}.".startswith(f"{missing}."):
            raise InvalidStage(
                f"the stage {name}: there is no module {missing} in this folder or among the "
                "installed packages"
            ) from None
        raise InvalidStage(f"the stage {name}: its module fails: {told(error)}") from error
    try:
        return reduce(getattr, attribute.split("."), loaded)
    except AttributeError:
        raise InvalidStage(f"the stage {name}: the module {module} has no {attribute}") from None
