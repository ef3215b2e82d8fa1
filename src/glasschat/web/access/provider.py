"""`--login`: what has to be known of an OpenID Connect provider, and whom it may bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from glasschat.web.access.base import Person

EVERYBODY = "*"
CALLBACK = "/oauth2callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """A provider, and who of those whom it vouches for may come in.

    `allow` has addresses (`ada@example.org`), domains (`@example.org`), or EVERYBODY. The names of
    the rest are Streamlit's.
    """

    server_metadata_url: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    cookie_secret: str = field(repr=False)
    allow: tuple[str, ...]
    client_kwargs: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Where visitors come to, as in `https://chat.example.org`."""
        return self.redirect_uri.removesuffix(CALLBACK)

    @property
    def host(self) -> str:
        """The name in it, without a port."""
        return urlsplit(self.redirect_uri).hostname or ""

    @property
    def secrets(self) -> dict[str, Any]:
        """For Streamlit, in the form of its secrets.toml."""
        return {
            "auth": {
                "server_metadata_url": self.server_metadata_url,
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "redirect_uri": self.redirect_uri,
                "cookie_secret": self.cookie_secret,
                "client_kwargs": dict(self.client_kwargs),
            }
        }

    def allows(self, claims: Mapping[str, Any]) -> bool:
        """Whether somebody of whom the provider says this may come in.

        By address only if the provider says that it has seen them read mail there: with some
        providers one may call oneself whatever one likes.
        """
        if EVERYBODY in self.allow:
            return True
        address = str(claims.get("email") or "").casefold()
        verified = claims.get("email_verified")
        if "@" not in address or not (verified is True or verified == "true"):
            return False
        domain = "@" + address.rpartition("@")[2]
        return any(entry.casefold() in (address, domain) for entry in self.allow)


def person_of(claims: Mapping[str, Any]) -> Person | None:
    """Whom the provider speaks of; None where it does not say.

    Only issuer and subject are somebody's for good: addresses change hands.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
        return None
    names = (claims.get(name) for name in ("name", "preferred_username", "email"))
    name = next((str(name) for name in names if name), subject)
    # An issuer is a URL without a fragment.
    return Person(f"{issuer}#{subject}", name, can_sign_out=True)
