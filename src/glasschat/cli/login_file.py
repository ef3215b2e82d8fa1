"""The TOML file of `--login`: Streamlit's section [auth], with a list of who may come in."""

import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from glasschat.cli.secret_files import read_secret
from glasschat.config import LOOPBACK_HOSTS
from glasschat.errors import ServerError
from glasschat.messages import Message
from glasschat.web.access.provider import CALLBACK, EVERYBODY, LoginSettings

SHORTEST_SECRET = 32

_TEXTS = ("server_metadata_url", "client_id", "client_secret", "redirect_uri", "cookie_secret")
_ALLOW_EXAMPLE = Message(
    'write allow = ["ada@example.org", "@example.org"], or ["*"] for everybody whom the '
    "provider signs in (with a public one that is anybody at all)"
)


def _invalid(what: Message, advice: Message) -> PydanticCustomError:
    """Return the error for a value; `what` is wrong with it, and `advice` says how to write it."""
    return PydanticCustomError("value", "{what}: {advice}", {"what": what, "advice": advice})


def _strip(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("string_type", "is no text")
    return text.strip()


def _check_https(text: str) -> str:
    url = _split_url(text)
    if url is None:
        raise _invalid(Message("is no address"), Message("write https://name/…"))
    if url.scheme != "https" and url.hostname not in LOOPBACK_HOSTS:
        raise _invalid(Message("is not https"), Message("only on loopback it need not be"))
    return text


def _check_callback(text: str) -> str:
    url = _split_url(text)
    if url is None or (url.path, url.query, url.fragment) != (CALLBACK, "", ""):
        raise _invalid(
            Message("does not end in {callback}", callback=CALLBACK),
            Message(
                "write https://NAME{callback}, with the name that visitors use", callback=CALLBACK
            ),
        )
    return text


def _check_secret(text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        raise _invalid(
            Message("has fewer than {shortest} characters", shortest=SHORTEST_SECRET),
            Message("`openssl rand -hex 32` makes one"),
        )
    return text


def _check_allow(allow: Any) -> tuple[str, ...]:
    if not allow:
        raise _invalid(Message("is missing, and nobody may come in without it"), _ALLOW_EXAMPLE)
    if not isinstance(allow, list) or not all(isinstance(entry, str) for entry in allow):
        raise _invalid(Message("is no list of texts"), _ALLOW_EXAMPLE)
    for entry in allow:
        name, at, domain = entry.strip().rpartition("@")
        if entry != EVERYBODY and not (at and domain and "@" not in name and " " not in entry):
            raise _invalid(
                Message("has {entry}, no address and no domain", entry=repr(entry)), _ALLOW_EXAMPLE
            )
    return tuple(allow)


def _check_scope(kwargs: dict[str, str]) -> dict[str, str]:
    if "openid" not in kwargs.get("scope", "openid").split():
        raise _invalid(
            Message("has a scope without openid"), Message('write "openid email profile"')
        )
    return kwargs


_Text = Annotated[str, AfterValidator(_strip)]
_Url = Annotated[_Text, AfterValidator(_check_https)]


class LoginSection(BaseModel):
    """The section [auth] of the file, under the names of Streamlit's `secrets.toml`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    server_metadata_url: _Url
    client_id: _Text
    client_secret: _Text
    redirect_uri: Annotated[_Url, AfterValidator(_check_callback)]
    cookie_secret: Annotated[_Text, AfterValidator(_check_secret)]
    allow: Annotated[tuple[str, ...], BeforeValidator(_check_allow)] = Field(
        (), validate_default=True
    )
    client_kwargs: Annotated[dict[str, str], AfterValidator(_check_scope)] = {}


def read_login(file: Path) -> LoginSettings:
    """Read the login settings from a file.

    Raises ServerError for a value that is missing, wrong or unknown; the message names the file
    and the value.
    """
    try:
        document = tomllib.loads(read_secret(file, str(file)))
    except ValueError as error:
        raise ServerError(
            "{file} is no TOML file: {error}", file=file, error=str(error).lower()
        ) from None
    section = document.get("auth")
    if not isinstance(section, dict):
        raise ServerError("{file} has no section [auth]: docs/access.md shows one", file=file)
    try:
        return LoginSettings(**LoginSection.model_validate(section).model_dump())
    except ValidationError as error:
        raise ServerError("{file}: {error}", file=file, error=_describe(error, section)) from None


def _describe(error: ValidationError, section: dict[str, Any]) -> Message:
    """Describe the first error: an unknown name, then a missing text, then a wrong value."""
    errors = error.errors(include_url=False)

    def rank(item: Any) -> tuple[int, int]:
        name, kind = item["loc"][0], item["type"]
        if kind == "extra_forbidden":
            return 0, list(section).index(name)
        return (1, 0) if name in _TEXTS and kind in ("missing", "string_type") else (2, 0)

    first = min(errors, key=rank)
    name, kind = first["loc"][0], first["type"]
    known = tuple(LoginSection.model_fields)
    if kind == "extra_forbidden":
        advice = Message("known are {names}", names=", ".join(known))
        if isinstance(first["input"], dict):
            advice = Message("one provider is served: put its lines into [auth] itself")
        return Message("{name} is not known: {advice}", name=name, advice=advice)
    if kind == "missing":
        return Message(
            "{name} is missing: it needs {names} and allow", name=name, names=", ".join(_TEXTS)
        )
    if kind == "value":
        what, advice = first["ctx"]["what"], first["ctx"]["advice"]
        return Message("{name} {what}: {advice}", name=name, what=what, advice=advice)
    if name == "client_kwargs":
        return Message(
            "client_kwargs is no table of texts: write {example}", example='{ prompt = "login" }'
        )
    return Message('{name} is no text: write {name} = "…"', name=name)


def _split_url(text: str) -> SplitResult | None:
    """Split an http or https URL without user information, None if `text` is no such URL."""
    try:
        url = urlsplit(text)
        whole = url.scheme in ("http", "https") and url.hostname and (url.port or 1)
    except ValueError:
        return None
    return url if whole and "@" not in url.netloc else None
