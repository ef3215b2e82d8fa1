"""`glasschat web`: the chat."""

import argparse
import sys

from glasschat.backends import LocalBackend
from glasschat.cli.api_arguments import api_options
from glasschat.cli.arguments import web_options
from glasschat.cli.entrance import chosen_access
from glasschat.cli.planning import planned
from glasschat.cli.storing import opened_library
from glasschat.models.load import load_model
from glasschat.web.access import LocalAccess
from glasschat.web.access.guests import GuestAccess
from glasschat.web.access.login import LoginAccess
from glasschat.web.server import check_address, serve


def web(options: argparse.Namespace) -> int:
    """Check what can be checked at once, then serve; 0 when the server was ended."""
    access, where = chosen_access(options, web_options(options))
    api = api_options(options, is_open=isinstance(access, LocalAccess | GuestAccess))
    check_address(where, access)
    plan = planned(options)
    library = opened_library(options)
    backend = LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        max_waiting=where.max_waiting,
        exact=options.exact,
        raw=options.raw,
    )
    host = f"[{where.host}]" if ":" in where.host else where.host
    address = access.origin if isinstance(access, LoginAccess) else f"http://{host}:{where.port}"
    print(
        f"glasschat: {plan.info.name}, {plan.slots} slots of {plan.context:,} tokens, "
        f"on {address} (Ctrl-C ends it)",
        file=sys.stderr,
        flush=True,
    )
    serve(backend, library, where, access, api)
    return 0
