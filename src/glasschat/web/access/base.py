"""What every kind of access answers: who is let in, and whose conversations a page shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import ASGIApp

from glasschat.chat.store import LOCAL_OWNER


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in front of a page.

    `owner` is the store's name for them and never shown; `name` is how they are called, "" for
    whoever did not come by name.
    """

    owner: str
    name: str = ""
    can_sign_out: bool = False


class Access(Protocol):
    """A way to come in."""

    @property
    def secrets(self) -> Mapping[str, Any] | None:
        """What Streamlit has to know of it, in the form of its secrets.toml."""

    def gate(self, app: ASGIApp) -> ASGIApp:
        """`app` behind a door: what is not let in does not reach it."""

    def person(self) -> Person:
        """Whoever the page is drawn for; for scripts of pages.

        Draws what they have to do instead, and ends the script, where they may not see the page.
        """


class LocalAccess:
    """One user, who needs no door: nobody else reaches the address."""

    secrets = None

    def gate(self, app: ASGIApp) -> ASGIApp:
        """No door."""
        return app

    def person(self) -> Person:
        """The local user."""
        return Person(LOCAL_OWNER)
