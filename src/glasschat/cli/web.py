"""`glasschat web`: serves the chat."""

import argparse
import sys
from collections.abc import Container, Iterable

from glasschat.backends import Backend
from glasschat.cli.access_options import access_from_options
from glasschat.cli.api_arguments import VARIABLE, api_options
from glasschat.cli.arguments import web_options
from glasschat.cli.model_plans import build_backend, plan_models
from glasschat.cli.remote_arguments import additional_remotes, remote_backend
from glasschat.cli.stage_arguments import stage_classes
from glasschat.cli.store_arguments import open_library
from glasschat.config import WebOptions
from glasschat.errors import ServerError
from glasschat.web.access import AccessPolicy, LocalAccess
from glasschat.web.access.guests import OpenAccess
from glasschat.web.access.login import LoginAccess
from glasschat.web.server import check_address, serve


def web(options: argparse.Namespace) -> int:
    """Check what can be checked before loading, then serve; return 0 when the server has ended."""
    access, where = access_from_options(options, web_options(options))
    api = api_options(options, is_open=isinstance(access, LocalAccess | OpenAccess))
    check_address(where, access)
    remote = remote_backend(options)
    if remote is not None:
        if len(api.keys):
            raise ServerError(
                "{variable} is for the API, which is the other server's with --remote: leave it "
                "out, or name the key for that server in --remote-key-file",
                variable=VARIABLE,
            )
        servers = additional_remotes(options)
        library = open_library(options)
        _print_address(f"replies by {options.remote}", access, where)
        serve(remote, library, where, access, api, others=servers)
        return 0
    servers = additional_remotes(options)
    classes = stage_classes(options)
    first, *additional = plans = plan_models(options)
    library = open_library(options)
    models = [(plan.info.name, build_backend(plan, options, classes)) for plan in additional]
    others: dict[str, Backend] = {**_unique_names(models, taken=servers), **servers}
    summaries = (f"{p.info.name}, {p.slots} slots of {p.context:,} tokens" for p in plans)
    _print_address("; ".join(summaries), access, where)
    serve(build_backend(first, options, classes), library, where, access, api, others=others)
    return 0


def _unique_names(
    models: Iterable[tuple[str, Backend]], taken: Container[str]
) -> dict[str, Backend]:
    """Return backends by name; names that are taken get a number."""
    found: dict[str, Backend] = {}
    for model, backend in models:
        name, number = model, 1
        while name in found or name in taken:
            number += 1
            name = f"{model} {number}"
        found[name] = backend
    return found


def _print_address(what: str, access: AccessPolicy, where: WebOptions) -> None:
    host = f"[{where.host}]" if ":" in where.host else where.host
    address = access.origin if isinstance(access, LoginAccess) else f"http://{host}:{where.port}"
    print(f"glasschat: {what}, on {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
