"""Several servers that visitors may choose among, from a TOML file of named ones."""

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasschat.cli.remote_arguments import key_in, warn_of_plain_http
from glasschat.cli.secret_files import read_secret, warn_of_readers
from glasschat.errors import ServerError

if TYPE_CHECKING:
    from glasschat.backends.remote import RemoteBackend

_WORDS = {"url": str, "model": str, "key": str, "key_file": str, "context": int, "kind": str}


def add_remotes_argument(parser: argparse.ArgumentParser) -> None:
    """More servers, beside the model of this machine or the one of `--remote`."""
    parser.add_argument(
        "--remotes",
        type=Path,
        metavar="FILE",
        help="more servers, which visitors choose among: a TOML file, see docs/scale.md",
    )


def other_backends(options: argparse.Namespace) -> "dict[str, RemoteBackend]":
    """The servers of the file by their names there. Raises ServerError."""
    if options.remotes is None:
        return {}
    # Slow to import, and for this alone.
    from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions

    asked: dict[str, RemoteOptions] = {}
    for name, table in _tables(options.remotes).items():
        try:
            address, key = Address.parse(table["url"]), _key(options.remotes, name, table)
            warn_of_plain_http(address, key)
            asked[name] = RemoteOptions(
                address=address,
                model=table.get("model"),
                key=key,
                context=table.get("context"),
                kind=table.get("kind"),
            )
        except ServerError as error:
            raise ServerError(f"{options.remotes}: [{name}]: {error}") from None
    return {name: RemoteBackend(remote) for name, remote in asked.items()}


def _key(file: Path, name: str, table: Mapping[str, Any]) -> str | None:
    if "key" in table and "key_file" in table:
        raise ServerError("key and key_file both give a key: leave one of them out")
    if "key_file" in table:
        # Beside the file, so that both can be moved.
        return key_in(file.parent / Path(table["key_file"]).expanduser())
    key: str | None = table.get("key")
    return key


def _tables(file: Path) -> dict[str, dict[str, Any]]:
    """The names in the file, each with its settings. Errors never repeat what is in it."""
    try:
        content = tomllib.loads(read_secret(file, f"the servers in {file}"))
    except ValueError:
        raise ServerError(f"{file} is no TOML: see docs/scale.md for what belongs in it") from None
    for name, table in content.items():
        if not isinstance(table, dict) or not isinstance(table.get("url"), str):
            raise ServerError(f'{file}: {name} has no url: write [{name}], and below it url = "…"')
        for word, value in table.items():
            if word not in _WORDS:
                raise ServerError(f"{file}: [{name}] has {word}, which means nothing here")
            if type(value) is not _WORDS[word]:
                kind = "a whole number" if _WORDS[word] is int else "a text"
                raise ServerError(f"{file}: {word} of [{name}] is {kind}")
    if not content:
        raise ServerError(f"{file} names no servers: see docs/scale.md for what belongs in it")
    if any("key" in table for table in content.values()):
        warn_of_readers(file)
    return content
