"""The contract of an access policy: which requests pass, and which user a page is drawn for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import ASGIApp

from glasschat.chat.store import LOCAL_OWNER


@dataclass(frozen=True, slots=True)
class User:
    """The user in front of a page.

    `owner` is the store's name for them and is never shown. `name` is the name to show, "" for a
    user who did not sign in by name.
    """

    owner: str
    name: str = ""
    can_sign_out: bool = False


class AccessPolicy(Protocol):
    """Decides who may use the chat."""

    @property
    def secrets(self) -> Mapping[str, Any] | None:
        """The settings that Streamlit needs for it, in the form of its secrets.toml."""

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Wrap `app` in middleware that lets only permitted requests reach it."""

    def user(self) -> User:
        """Return the user that the running page is drawn for; to be called by scripts of pages.

        Where the visitor may not see the page, it draws what they have to do instead, and ends the
        script.
        """


class LocalAccess:
    """One local user without authentication: nobody else reaches the address."""

    secrets = None

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Return `app` itself: nobody is asked to sign in."""
        return app

    def user(self) -> User:
        """Return the local user, whoever visits the page."""
        return User(LOCAL_OWNER)
