"""The models that a command line names, found and checked."""

import argparse
import sys
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any

from glasschat.backends import LocalBackend
from glasschat.cli.arguments import model_options, model_path
from glasschat.errors import ParameterError
from glasschat.models.load import LoadPlan, load_model, plan_model
from glasschat.sampling import StageClasses


def planned(options: argparse.Namespace, *, reserved: int = 0, **overrides: Any) -> LoadPlan:
    """The plan for the model settings given; what is unwise about it goes to standard error.

    `reserved` bytes of memory are for other models. Raises ModelError or ParameterError.
    """
    plan = plan_model(replace(model_options(options, **overrides), reserved=reserved))
    if plan.warning:
        print(f"glasschat: {plan.warning}", file=sys.stderr)
    return plan


def served(plan: LoadPlan, options: argparse.Namespace, classes: StageClasses) -> LocalBackend:
    """The backend of a server for that model, which is not loaded yet."""
    return LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        max_waiting=options.max_waiting,
        prefix_cache_bytes=_shelf_bytes(options.cache_ram),
        exact=options.exact,
        raw=options.raw,
        stage_classes=classes,
    )


def _shelf_bytes(mib: int | None) -> int | None:
    if mib is not None and mib < 0:
        raise ParameterError("cache_ram", "a whole number of MiB, 0 for none", mib)
    return None if mib is None else mib * 2**20


def planned_more(options: argparse.Namespace, first: LoadPlan) -> Iterator[LoadPlan]:
    """The plans for the models of `--also`: each finds the memory that those before it leave.

    Raises ModelError or ParameterError.
    """
    reserved = first.memory
    for model in options.also:
        path = model_path(model)
        asked = copy(options)
        asked.model = str(path)
        # What is said of the first model goes for those of its kind.
        if path is not None and path.is_dir():
            asked.gpu_layers = None
        else:
            asked.dtype = "auto"
            asked.device = "cpu" if options.device == "cpu" else "auto"
        plan = planned(asked, reserved=reserved)
        reserved += plan.memory
        yield plan


def add_cache_argument(parser: argparse.ArgumentParser) -> None:
    """Memory for conversations that have no slot just now."""
    parser.add_argument(
        "--cache-ram",
        type=int,
        metavar="MIB",
        help="main memory for what was computed of conversations without a slot, for each model "
        "(an eighth of what is free, 8,192 at most)",
    )


def add_more_models_argument(parser: argparse.ArgumentParser) -> None:
    """More models of this machine, beside the one that is named first."""
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model of this machine, which visitors choose and compare with; may be given "
        "several times",
    )
