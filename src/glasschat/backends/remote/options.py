"""Options of a remote server: its address, model, key, context and kind."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from glasschat.backends.remote.dialect import DIALECTS
from glasschat.config import LOOPBACK_HOSTS
from glasschat.errors import ServerError
from glasschat.messages import Message


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server; the paths of its OpenAI API begin at `base`."""

    base: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an address as it was typed; one without a path gets /v1.

        Raises ServerError, which repeats no password.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise _no_address(text) from None
        if parts.username is not None or parts.password is not None:
            raise ServerError(
                "the address of --remote has a name or a key in it, which others on this machine "
                "see in the list of processes: give the key with --remote-key-file"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or not _plain(text.strip()):
            raise _no_address(text)
        if parts.query or parts.fragment:
            raise _no_address(text)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = host if port is None else f"{host}:{port}"
        path = parts.path.rstrip("/") or "/v1"
        return cls(f"{parts.scheme}://{netloc}{path}")

    def path(self, path: str) -> str:
        """Return the URL of a path of OpenAI's API, as in /chat/completions."""
        return self.base + path

    def beside(self, path: str) -> str:
        """Return the URL of a path beside OpenAI's API, as in /tokenize."""
        return self.base.removesuffix("/v1") + path

    @property
    def host(self) -> str:
        """Return the name or IP address of the host."""
        return self._parts.hostname or ""

    @property
    def is_loopback(self) -> bool:
        """Return whether requests stay on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host in LOOPBACK_HOSTS or self.host.endswith(".localhost")

    @property
    def is_encrypted(self) -> bool:
        """Return whether requests are encrypted, by https."""
        return self._parts.scheme == "https"

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.base)

    def __str__(self) -> str:
        return self.base.removesuffix("/v1")


def _no_address(text: str) -> ServerError:
    # The text before an @ may be a password.
    shown = repr(text[:200]) if "@" not in text else Message("this")
    return ServerError(
        "--remote is an http or https address without ? and #, as in http://127.0.0.1:8000/v1, "
        "and not {shown}",
        shown=shown,
    )


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


MAX_KEY_CHARS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """A server and one of its models. Frozen and validated.

    Without a `model` it is the only one of the server. `kind` is a name of `DIALECTS`; without it
    the server says what it is. `context` is for servers that do not report theirs. The `key` is
    never displayed.
    Raises ServerError, which does not repeat the key.
    """

    address: Address
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    context: int | None = None
    kind: str | None = None

    def __post_init__(self) -> None:
        if self.model is not None and not self.model.strip():
            raise ServerError("--remote-model is the name of a model, and this is empty")
        if self.context is not None and not 8 <= self.context < 2**31:
            raise ServerError(
                "--remote-context is a whole number from 8, not {context:,}", context=self.context
            )
        if self.kind is not None and self.kind not in DIALECTS:
            raise ServerError(
                "--remote-kind is one of {dialects}, not {kind}",
                dialects=", ".join(DIALECTS),
                kind=repr(self.kind),
            )
        key = self.key
        if key is not None and not (
            0 < len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable() and " " not in key
        ):
            # The message does not repeat the key.
            raise ServerError(
                "the key for the remote server is one word of ASCII characters, and this is not"
            )
