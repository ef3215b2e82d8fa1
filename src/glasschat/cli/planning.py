"""The model that a command line names, found and checked."""

import argparse
import sys
from typing import Any

from glasschat.cli.arguments import model_options
from glasschat.models.load import LoadPlan, plan_model


def planned(options: argparse.Namespace, **overrides: Any) -> LoadPlan:
    """The plan for the model settings given; what is unwise about it goes to standard error.

    Raises ModelError or ParameterError.
    """
    plan = plan_model(model_options(options, **overrides))
    if plan.warning:
        print(f"glasschat: {plan.warning}", file=sys.stderr)
    return plan
