"""Plans how the models of a command line are loaded, and builds their backends."""

import argparse
import sys
from copy import copy
from dataclasses import replace
from typing import Any

from glasschat.backends import LocalBackend
from glasschat.cli.arguments import model_options, model_path
from glasschat.errors import ParameterError
from glasschat.models.load import LoadPlan, load_model, plan_model
from glasschat.sampling import StageClasses


def plan_from_options(
    options: argparse.Namespace, *, reserved: int = 0, **overrides: Any
) -> LoadPlan:
    """Plan how to load the model of the options, and print warnings about it to standard error.

    `reserved` is memory in bytes that other models need. Raises ModelError, ParameterError.
    """
    plan = plan_model(replace(model_options(options, **overrides), reserved=reserved))
    if plan.warning:
        print(f"glasschat: {plan.warning}", file=sys.stderr)
    return plan


def build_backend(
    plan: LoadPlan, options: argparse.Namespace, classes: StageClasses
) -> LocalBackend:
    """Build the backend of a server for a model, without loading the model."""
    return LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        max_waiting=options.max_waiting,
        prefix_cache_bytes=_cache_bytes(options.cache_ram),
        exact=options.exact,
        raw=options.raw,
        stage_classes=classes,
    )


def _cache_bytes(mib: int | None) -> int | None:
    if mib is not None and mib < 0:
        raise ParameterError("cache_ram", "a whole number of MiB, 0 for none", mib)
    return None if mib is None else mib * 2**20


def plan_models(options: argparse.Namespace) -> list[LoadPlan]:
    """Plan the first model and those of `--also`. Raises ModelError, ParameterError.

    Each plan takes into account the memory that those before it need.
    """
    plans = [plan_from_options(options)]
    for model in options.also:
        path = model_path(model)
        model_settings = copy(options)
        model_settings.model = str(path)
        # Settings of one format do not apply to a model of the other.
        if path is not None and path.is_dir():
            model_settings.gpu_layers = None
        else:
            model_settings.dtype = "auto"
            model_settings.device = "cpu" if options.device == "cpu" else "auto"
        reserved = sum(plan.memory for plan in plans)
        plans.append(plan_from_options(model_settings, reserved=reserved))
    return plans


def add_cache_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--cache-ram`: main memory for the prefixes of conversations that have no slot."""
    parser.add_argument(
        "--cache-ram",
        type=int,
        metavar="MIB",
        help="main memory for what was computed of conversations without a slot, for each model "
        "(an eighth of what is free, 8,192 at most)",
    )


def add_also_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--also`: local models beside the first one."""
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model of this machine, which visitors choose and compare with; may be given "
        "several times",
    )
