"""Flags of the API, the same for `web` and `serve`."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from glasschat.errors import ServerError

if TYPE_CHECKING:
    from glasschat.api import ApiOptions, Key

VARIABLE = "GLASSCHAT_API_KEY"
DRAIN_S = 30.0


def add_api_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for keys, limits and logs of the API."""
    group = parser.add_argument_group(
        "API", "OpenAI's interface, on the same port: see docs/api.md."
    )
    group.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"programs need this key; better in {VARIABLE} or a file, as others on this machine "
        "see it in the list of processes",
    )
    group.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="a TOML file of named keys, each with a limit of its own: see docs/api.md",
    )
    group.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin use the API; may be given again",
    )
    group.add_argument(
        "--timeout", type=float, metavar="S", help="give up on any request after this (unset)"
    )
    group.add_argument(
        "--drain",
        type=float,
        default=DRAIN_S,
        metavar="S",
        help="seconds that requests may go on after the server was told to end (%(default)g)",
    )
    group.add_argument(
        "--log-requests",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="a line of JSON for each request on standard error, without any text of it",
    )
    group.add_argument(
        "--log-texts", action="store_true", help="in these lines prompts and replies too"
    )


def api_options(options: argparse.Namespace, *, is_open: bool) -> "ApiOptions":
    """Return the ApiOptions that the flags ask for. Raises ServerError, ParameterError.

    `is_open` says that requests need no key if there are no keys.
    """
    # Imported here: pydantic and Starlette are slow to import, and other commands need neither.
    from glasschat.api import ApiOptions, Keyring

    return ApiOptions(
        keys=Keyring(_keys(options)),
        open=is_open,
        cors_origins=tuple(options.cors_origin),
        timeout_s=options.timeout,
        drain_s=options.drain,
        log_requests=options.log_requests,
        log_texts=options.log_texts,
    )


def _keys(options: argparse.Namespace) -> "list[Key]":
    from glasschat.api import Key

    # Removed from the environment: programs that this one starts must not inherit the key.
    variable = os.environ.pop(VARIABLE, None)
    keys = []
    for name, secret in (("--api-key", options.api_key), (VARIABLE, variable)):
        if secret is not None:
            keys.append(Key.from_secret(name, secret))
    if options.api_key_file is not None:
        from glasschat.cli.key_file import read_keys

        keys += read_keys(options.api_key_file)
    if len({key.digest for key in keys}) < len(keys):
        raise ServerError("two names have the same API key: give each its own")
    return keys
