"""Stages of one's own on the command line: which, and how they are set."""

import argparse
import sys
from pathlib import Path
from typing import Any

from glasschat.errors import ParameterError
from glasschat.sampling import CustomStage, StageClasses, load_stages


def add_stage_arguments(parser: argparse.ArgumentParser, *, settings: bool = False) -> None:
    """Which stages there are; with `settings` for a command that writes one reply."""
    group = parser.add_argument_group("stages of your own", "See docs/own-stage.md.")
    group.add_argument(
        "--stage",
        action="append",
        default=[],
        metavar="NAME",
        help="a class as module:name, the module here or installed, or the name under which an "
        "installed package offers one; may be given again",
    )
    if settings:
        group.add_argument(
            "--stage-setting",
            action="append",
            default=[],
            metavar="STAGE.FIELD=VALUE",
            help="a setting of such a stage; may be given again",
        )


def stage_classes(options: argparse.Namespace) -> StageClasses:
    """The stages named, imported. Raises InvalidStage.

    The folder comes last on the path: no file in it takes the place of an installed module.
    """
    here = str(Path.cwd())
    if any(":" in name for name in options.stage) and here not in sys.path:
        sys.path.append(here)
    return load_stages(options.stage)


def asked_stages(options: argparse.Namespace, classes: StageClasses) -> tuple[CustomStage, ...]:
    """All of them, set as the command line says. Raises ParameterError, StageNotHere."""
    wanted: dict[str, dict[str, Any]] = {one.name: {} for one in classes}
    for given in options.stage_setting:
        place, separator, text = given.partition("=")
        stage, dot, name = place.partition(".")
        if not separator or not dot:
            raise ParameterError("stage_setting", "STAGE.FIELD=VALUE", given)
        settings = {setting.name: setting for setting in classes.get(stage).settings}
        # One that it has not is refused below, with those that it has.
        wanted[stage][name] = settings[name].read(text) if name in settings else text
    return classes.configure(wanted)
