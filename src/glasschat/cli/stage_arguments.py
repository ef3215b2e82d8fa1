"""Flags for custom stages: which classes there are, and their settings."""

import argparse
import sys
from pathlib import Path
from typing import Any

from glasschat.errors import ParameterError
from glasschat.sampling import CustomStage, StageClasses, load_stages


def add_stage_arguments(parser: argparse.ArgumentParser, *, settings: bool = False) -> None:
    """Add `--stage`, and with `settings` also `--stage-setting`.

    The latter is for commands that write one reply.
    """
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
    """Import the stages that were named. Raises InvalidStage.

    The working folder comes last on the import path, so that no file in it replaces an installed
    module.
    """
    folder = str(Path.cwd())
    if any(":" in name for name in options.stage) and folder not in sys.path:
        sys.path.append(folder)
    return load_stages(options.stage)


def configured_stages(
    options: argparse.Namespace, classes: StageClasses
) -> tuple[CustomStage, ...]:
    """Return all stages with the settings of the command line.

    Raises ParameterError, StageNotHere.
    """
    settings_by_stage: dict[str, dict[str, Any]] = {one.name: {} for one in classes}
    for setting in options.stage_setting:
        place, separator, text = setting.partition("=")
        stage, dot, name = place.partition(".")
        if not separator or not dot:
            raise ParameterError("stage_setting", "STAGE.FIELD=VALUE", setting)
        settings = {setting.name: setting for setting in classes.get(stage).settings}
        # One that it has not is refused below, with those that it has.
        settings_by_stage[stage][name] = settings[name].read(text) if name in settings else text
    return classes.configure(settings_by_stage)
