"""The TOML file of `--remotes`: several servers by name, which visitors choose among."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions
from glasschat.cli.remote_arguments import read_key_file, warn_of_plain_http
from glasschat.cli.secret_files import read_secret, warn_if_others_can_read
from glasschat.errors import ServerError
from glasschat.messages import Message


class RemoteServer(BaseModel):
    """One server of the file: its address and what is needed to use it.

    `key_file` is relative to the file itself, so that both can be moved together.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    url: str
    model: str | None = None
    key: str | None = None
    key_file: str | None = None
    context: int | None = None
    kind: str | None = None

    def options(self, folder: Path) -> RemoteOptions:
        """Return the options of the backend. Raises ServerError.

        `folder` is where the file is. Warns on standard error if others could read the key.
        """
        address = Address.parse(self.url)
        if self.key is not None and self.key_file is not None:
            raise ServerError("key and key_file both give a key: leave one of them out")
        key = self.key
        if self.key_file is not None:
            key = read_key_file(folder / Path(self.key_file).expanduser())
        warn_of_plain_http(address, key)
        return RemoteOptions(
            address=address, model=self.model, key=key, context=self.context, kind=self.kind
        )


def remote_backends(file: Path) -> dict[str, RemoteBackend]:
    """Return a backend for each server of a file, by its name. Raises ServerError."""
    remote_options: dict[str, RemoteOptions] = {}
    for name, server in read_remotes(file).items():
        try:
            remote_options[name] = server.options(file.parent)
        except ServerError as error:
            raise ServerError(
                "{file}: [{name}]: {error}", file=file, name=name, error=error
            ) from None
    return {name: RemoteBackend(remote) for name, remote in remote_options.items()}


def read_remotes(file: Path) -> dict[str, RemoteServer]:
    """Read the servers of a file by their names. Raises ServerError, which repeats no secrets."""
    try:
        content = tomllib.loads(read_secret(file, Message("the servers in {file}", file=file)))
    except ValueError:
        raise ServerError(
            "{file} is no TOML: see docs/scale.md for what belongs in it", file=file
        ) from None
    servers: dict[str, RemoteServer] = {}
    for name, table in content.items():
        try:
            servers[name] = RemoteServer.model_validate(table)
        except ValidationError as error:
            raise ServerError(
                "{file}: {error}", file=file, error=_describe(error, name, table)
            ) from None
    if not servers:
        raise ServerError(
            "{file} names no servers: see docs/scale.md for what belongs in it", file=file
        )
    if any(server.key is not None for server in servers.values()):
        warn_if_others_can_read(file)
    return servers


def _describe(error: ValidationError, name: str, table: Any) -> Message:
    """Describe the first error in the file's order; a server without a url comes first."""
    errors = error.errors(include_url=False)
    if any(item["loc"] in ((), ("url",)) for item in errors):
        return Message('{name} has no url: write [{name}], and below it url = "…"', name=name)
    first = min(errors, key=lambda item: list(table).index(item["loc"][0]))
    field = first["loc"][0]
    if first["type"] == "extra_forbidden":
        return Message("[{name}] has {field}, which means nothing here", name=name, field=field)
    kind = Message("a whole number") if field == "context" else Message("a text")
    return Message("{field} of [{name}] is {kind}", field=field, name=name, kind=kind)
