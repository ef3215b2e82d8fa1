"""`glasschat web`: the chat."""

import argparse
import sys
from collections.abc import Container, Iterable

from glasschat.backends import Backend
from glasschat.cli.access_options import chosen_access
from glasschat.cli.api_arguments import VARIABLE, api_options
from glasschat.cli.arguments import web_options
from glasschat.cli.own_stages import stage_classes
from glasschat.cli.planning import planned, planned_more, served
from glasschat.cli.remote_arguments import remote_backend
from glasschat.cli.remotes_file import other_backends
from glasschat.cli.storing import opened_library
from glasschat.config import WebOptions
from glasschat.errors import ServerError
from glasschat.web.access import Access, LocalAccess
from glasschat.web.access.guests import GuestAccess
from glasschat.web.access.login import LoginAccess
from glasschat.web.server import check_address, serve


def web(options: argparse.Namespace) -> int:
    """Check what can be checked at once, then serve; 0 when the server was ended."""
    access, where = chosen_access(options, web_options(options))
    api = api_options(options, is_open=isinstance(access, LocalAccess | GuestAccess))
    check_address(where, access)
    remote = remote_backend(options)
    if remote is not None:
        if len(api.keys):
            raise ServerError(
                f"{VARIABLE} is for the API, which is the other server's with --remote: leave it "
                "out, or name the key for that server in --remote-key-file"
            )
        servers = other_backends(options)
        library = opened_library(options)
        _say(f"replies by {options.remote}", access, where)
        serve(remote, library, where, access, api, others=servers)
        return 0
    servers = other_backends(options)
    classes = stage_classes(options)
    plan = planned(options)
    more = list(planned_more(options, plan))
    library = opened_library(options)
    others: dict[str, Backend] = {}
    others.update(_named([(p.info.name, served(p, options, classes)) for p in more], taken=servers))
    others.update(servers)
    about = (f"{p.info.name}, {p.slots} slots of {p.context:,} tokens" for p in (plan, *more))
    _say("; ".join(about), access, where)
    serve(served(plan, options, classes), library, where, access, api, others=others)
    return 0


def _named(models: Iterable[tuple[str, Backend]], taken: Container[str]) -> dict[str, Backend]:
    """The models by their names, numbered where these are the same."""
    found: dict[str, Backend] = {}
    for model, backend in models:
        name, number = model, 1
        while name in found or name in taken:
            number += 1
            name = f"{model} {number}"
        found[name] = backend
    return found


def _say(what: str, access: Access, where: WebOptions) -> None:
    host = f"[{where.host}]" if ":" in where.host else where.host
    address = access.origin if isinstance(access, LoginAccess) else f"http://{host}:{where.port}"
    print(f"glasschat: {what}, on {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
