"""The TOML file of `--api-key-file`: API keys by name."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from glasschat.api import Key
from glasschat.cli.secret_files import read_secret, warn_if_others_can_read
from glasschat.errors import ServerError
from glasschat.messages import Message


class KeyEntry(BaseModel):
    """One key of the file. `most_running` limits the replies that it may have at once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    key: str
    most_running: int | None = None


def read_keys(file: Path) -> list[Key]:
    """Read the keys of a file. Raises ServerError and ParameterError, which repeat no secrets."""
    try:
        content = tomllib.loads(read_secret(file, Message("the API keys in {file}", file=file)))
    except ValueError:
        raise ServerError(
            "{file} is no TOML: see docs/api.md for what belongs in it", file=file
        ) from None
    entries: dict[str, KeyEntry] = {}
    for name, table in content.items():
        try:
            entries[name] = KeyEntry.model_validate(table)
        except ValidationError as error:
            raise ServerError("{file}: {error}", file=file, error=_describe(error, name)) from None
    if not entries:
        raise ServerError(
            "{file} has no API keys: see docs/api.md for what belongs in it", file=file
        )
    warn_if_others_can_read(file)
    return [Key.from_secret(name, entry.key, entry.most_running) for name, entry in entries.items()]


def _describe(error: ValidationError, name: str) -> Message:
    """Describe the first error: a missing key, then an unknown name, then a wrong number."""
    errors = error.errors(include_url=False)
    if any(item["loc"] in ((), ("key",)) for item in errors):
        return Message('{name} has no key: write [{name}], and below it key = "…"', name=name)
    unknown = sorted(str(e["loc"][0]) for e in errors if e["type"] == "extra_forbidden")
    if unknown:
        return Message(
            "[{name}] has {field}, which means nothing here", name=name, field=unknown[0]
        )
    return Message("most_running of [{name}] is a whole number", name=name)
