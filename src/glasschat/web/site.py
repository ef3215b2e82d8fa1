"""What all pages of this process share. Set once, before the first page is served."""

from dataclasses import dataclass

from glasschat.backends import Backend
from glasschat.chat import Library


@dataclass(frozen=True, slots=True)
class Site:
    """The backend and the conversations."""

    backend: Backend
    library: Library


_sites: list[Site] = []


def open_site(site: Site) -> None:
    """Make `site` the one that pages are drawn for."""
    _sites[:] = [site]


def current_site() -> Site:
    """The site that was opened. Not a Streamlit cache: no visitor can clear it for all."""
    return _sites[0]
