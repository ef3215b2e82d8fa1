"""What all pages of this process share. Set once, before the first page is served."""

from dataclasses import dataclass, field

from glasschat.backends import Backend
from glasschat.chat import Library
from glasschat.chat.own_presets import OwnPresets
from glasschat.web.glass.boxes import Boxes


@dataclass(frozen=True, slots=True)
class Site:
    """The backend, the conversations, everybody's own presets, and the open glass boxes."""

    backend: Backend
    library: Library
    presets: OwnPresets
    boxes: Boxes = field(default_factory=Boxes)


_sites: list[Site] = []


def open_site(site: Site) -> None:
    """Make `site` the one that pages are drawn for."""
    _sites[:] = [site]


def current_site() -> Site:
    """The site that was opened. Not a Streamlit cache: no visitor can clear it for all."""
    return _sites[0]
