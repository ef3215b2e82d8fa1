"""`glasschat serve`: serves the API, without pages."""

import argparse
import sys

from glasschat.api import AdmissionControl, Api, ApiOptions
from glasschat.api.app import build_api_app
from glasschat.api.server import check_port_free, run_server
from glasschat.cli.api_arguments import api_options
from glasschat.cli.arguments import web_options
from glasschat.cli.model_plans import build_backend, plan_from_options
from glasschat.cli.stage_arguments import stage_classes
from glasschat.config import WebOptions
from glasschat.errors import ServerError
from glasschat.messages import Message


def serve(options: argparse.Namespace) -> int:
    """Check what can be checked before loading, then serve; return 0 when the server has ended."""
    where = web_options(options)
    api_settings = api_options(options, is_open=True)
    check_open(where, api_settings, is_open=options.open)
    check_port_free(where.host, where.port)
    classes = stage_classes(options)
    plan = plan_from_options(options)
    backend = build_backend(plan, options, classes)
    host = f"[{where.host}]" if ":" in where.host else where.host
    print(
        f"glasschat: {plan.info.name}, {plan.slots} slots of {plan.context:,} tokens, "
        f"on http://{host}:{where.port}/v1 (Ctrl-C ends it)",
        file=sys.stderr,
        flush=True,
    )
    api = Api(AdmissionControl(backend, api_settings))
    run_server(build_api_app(api, where), api, host=where.host, port=where.port)
    return 0


def check_open(where: WebOptions, api: ApiOptions, *, is_open: bool) -> None:
    """Check that no stranger reaches the API without a key. Raises ServerError."""
    if len(api.keys) and is_open:
        raise ServerError("--open lets everybody in, and there are API keys: leave one of them out")
    if len(api.keys) or is_open:
        return
    more = Message("or --open if that is what you want")
    if not where.is_loopback:
        raise ServerError(
            "--host {host} would let everyone who reaches this machine use the model: add "
            "--api-key-file, {more}, or leave --host out",
            host=where.host,
            more=more,
        )
    if where.allowed_hosts:
        raise ServerError(
            "--allowed-host {allowed_hosts} would let in everyone whom a proxy under that name "
            "passes on: add --api-key-file, {more}",
            allowed_hosts=where.allowed_hosts[0],
            more=more,
        )
