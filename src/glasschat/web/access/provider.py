"""`--login`: the settings of an OpenID Connect provider, and which of its users may chat."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from glasschat.web.access.base import User

EVERYBODY = "*"
CALLBACK = "/oauth2callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """An OpenID Connect provider, and which of its users are allowed.

    `allow` holds addresses (`ada@example.org`), domains (`@example.org`), or EVERYBODY. The other
    fields are named as Streamlit names them.
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
        """The origin that visitors use, as in `https://chat.example.org`."""
        return self.redirect_uri.removesuffix(CALLBACK)

    @property
    def host(self) -> str:
        """The host name of the origin, without a port."""
        return urlsplit(self.redirect_uri).hostname or ""

    @property
    def secrets(self) -> dict[str, Any]:
        """The settings for Streamlit, in the form of its secrets.toml."""
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
        """Tell whether the user with these claims is allowed.

        An address counts only if the provider says that it is verified: with some providers a user
        may name any address.
        """
        if EVERYBODY in self.allow:
            return True
        address = str(claims.get("email") or "").casefold()
        verified = claims.get("email_verified")
        if "@" not in address or not (verified is True or verified == "true"):
            return False
        domain = "@" + address.rpartition("@")[2]
        return any(entry.casefold() in (address, domain) for entry in self.allow)


def user_from_claims(claims: Mapping[str, Any]) -> User | None:
    """Return the user whom the claims describe, or None where issuer or subject are missing.

    Only issuer and subject identify a user for good: addresses change hands.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
        return None
    names = (claims.get(name) for name in ("name", "preferred_username", "email"))
    name = next((str(name) for name in names if name), subject)
    # An issuer is a URL without a fragment.
    return User(f"{issuer}#{subject}", name, can_sign_out=True)
