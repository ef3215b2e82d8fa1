"""How the API is served, as the command line says it."""

import argparse
import os
import tomllib
from pathlib import Path
from typing import Any

from glasschat.cli.secret_files import read_secret, warn_of_readers
from glasschat.errors import ServerError

VARIABLE = "GLASSCHAT_API_KEY"
DRAIN_S = 30.0


def add_api_arguments(parser: argparse.ArgumentParser) -> None:
    """Keys, limits, logs. The same for `web` and `serve`."""
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


def api_options(options: argparse.Namespace, *, is_open: bool) -> Any:
    """The ApiOptions that are asked for; `is_open` says that no key is needed if none is given.

    Raises ServerError, ParameterError.
    """
    # Slow to import, and for two commands only.
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


def _keys(options: argparse.Namespace) -> list[Any]:
    from glasschat.api import Key

    # Not for programs that this one starts.
    variable = os.environ.pop(VARIABLE, None)
    keys = []
    for name, secret in (("--api-key", options.api_key), (VARIABLE, variable)):
        if secret is not None:
            keys.append(Key.from_secret(name, secret))
    if options.api_key_file is not None:
        for name, table in _tables(options.api_key_file).items():
            keys.append(Key.from_secret(name, table["key"], table.get("most_running")))
    if len({key.digest for key in keys}) < len(keys):
        raise ServerError("two names have the same API key: give each its own")
    return keys


def _tables(file: Path) -> dict[str, dict[str, Any]]:
    """The names in the file, each with its key. Errors never repeat what is in it."""
    try:
        content = tomllib.loads(read_secret(file, f"the API keys in {file}"))
    except ValueError:
        raise ServerError(f"{file} is no TOML: see docs/api.md for what belongs in it") from None
    for name, table in content.items():
        if not isinstance(table, dict) or not isinstance(table.get("key"), str):
            raise ServerError(f'{file}: {name} has no key: write [{name}], and below it key = "…"')
        unknown = sorted(table.keys() - {"key", "most_running"})
        if unknown:
            raise ServerError(f"{file}: [{name}] has {unknown[0]}, which means nothing here")
        most = table.get("most_running")
        if most is not None and (isinstance(most, bool) or not isinstance(most, int)):
            raise ServerError(f"{file}: most_running of [{name}] is a whole number")
    if not content:
        raise ServerError(f"{file} has no API keys: see docs/api.md for what belongs in it")
    warn_of_readers(file)
    return content
