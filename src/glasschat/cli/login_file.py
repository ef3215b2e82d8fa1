"""The file of `--login`: Streamlit's own form, with who may come in."""

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from glasschat.cli.secret_files import read_secret
from glasschat.config import LOOPBACK_HOSTS
from glasschat.errors import ServerError
from glasschat.web.access.provider import CALLBACK, EVERYBODY, LoginSettings

SHORTEST_SECRET = 32

_TEXTS = ("server_metadata_url", "client_id", "client_secret", "redirect_uri", "cookie_secret")
_KNOWN = (*_TEXTS, "allow", "client_kwargs")


def read_login(file: Path) -> LoginSettings:
    """The settings in `file`. Raises ServerError for what is missing, wrong or not known."""
    try:
        document = tomllib.loads(read_secret(file, str(file)))
    except ValueError as error:
        raise ServerError(f"{file} is no TOML file: {str(error).lower()}") from None
    section = document.get("auth")
    if not isinstance(section, dict):
        raise ServerError(f"{file} has no section [auth]: docs/access.md shows one")
    return _Section(file, section).settings()


class _Section:
    """One file's [auth]; every complaint names the file and the line's name."""

    def __init__(self, file: Path, values: dict[str, Any]) -> None:
        self._file = file
        self._values = values

    def settings(self) -> LoginSettings:
        for name, value in self._values.items():
            if name not in _KNOWN:
                advice = (
                    "one provider is served: put its lines into [auth] itself"
                    if isinstance(value, dict)
                    else f"known are {', '.join(_KNOWN)}"
                )
                raise self._error(name, "is not known", advice)
        texts = {name: self._text(name) for name in _TEXTS}
        self._check_urls(texts)
        if len(texts["cookie_secret"]) < SHORTEST_SECRET:
            raise self._error(
                "cookie_secret",
                f"has fewer than {SHORTEST_SECRET} characters",
                "`openssl rand -hex 32` makes one",
            )
        return LoginSettings(**texts, allow=self._allow(), client_kwargs=self._client_kwargs())

    def _text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            raise self._error(name, "is missing", f"it needs {', '.join(_TEXTS)} and allow")
        if not isinstance(value, str) or not value.strip():
            raise self._error(name, "is no text", f'write {name} = "…"')
        return value.strip()

    def _check_urls(self, texts: dict[str, str]) -> None:
        for name in ("server_metadata_url", "redirect_uri"):
            url = _split(texts[name])
            if url is None:
                raise self._error(name, "is no address", "write https://name/…")
            if url.scheme != "https" and url.hostname not in LOOPBACK_HOSTS:
                raise self._error(name, "is not https", "only on loopback it need not be")
        url = _split(texts["redirect_uri"])
        if url is None or (url.path, url.query, url.fragment) != (CALLBACK, "", ""):
            raise self._error(
                "redirect_uri",
                f"does not end in {CALLBACK}",
                f"write https://NAME{CALLBACK}, with the name that visitors use",
            )

    def _allow(self) -> tuple[str, ...]:
        allow = self._values.get("allow")
        example = (
            'write allow = ["ada@example.org", "@example.org"], or ["*"] for everybody whom the '
            "provider signs in (with a public one that is anybody at all)"
        )
        if not allow:
            raise self._error("allow", "is missing, and nobody may come in without it", example)
        if not isinstance(allow, list) or not all(isinstance(entry, str) for entry in allow):
            raise self._error("allow", "is no list of texts", example)
        for entry in allow:
            name, at, domain = entry.strip().rpartition("@")
            if entry != EVERYBODY and not (at and domain and "@" not in name and " " not in entry):
                raise self._error("allow", f"has {entry!r}, no address and no domain", example)
        return tuple(allow)

    def _client_kwargs(self) -> dict[str, str]:
        given = self._values.get("client_kwargs", {})
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            raise self._error("client_kwargs", "is no table of texts", 'write { prompt = "login" }')
        if "openid" not in given.get("scope", "openid").split():
            raise self._error(
                "client_kwargs", "has a scope without openid", 'write "openid email profile"'
            )
        return given

    def _error(self, name: str, what: str, advice: str) -> ServerError:
        return ServerError(f"{self._file}: {name} {what}: {advice}")


def _split(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        whole = url.scheme in ("http", "https") and url.hostname and (url.port or 1)
    except ValueError:
        return None
    return url if whole and "@" not in url.netloc else None
