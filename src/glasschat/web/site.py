"""What all pages of this process share. Set once, before the first page is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from glasschat.backends import Backend
from glasschat.chat import Library
from glasschat.chat.own_presets import OwnPresets
from glasschat.web.glass.boxes import Boxes


@dataclass(frozen=True, slots=True)
class Site:
    """The backend, the conversations, everybody's own presets, and the open glass boxes.

    `others` may be chosen instead of the backend, by their names.
    """

    backend: Backend
    library: Library
    presets: OwnPresets
    boxes: Boxes = field(default_factory=Boxes)
    others: Mapping[str, Backend] = field(default_factory=dict)

    def with_chosen(self, name: str) -> "Site":
        """The same with another backend; with its own for a name that is none's."""
        return replace(self, backend=self.others.get(name, self.backend))


_sites: list[Site] = []


def open_site(site: Site) -> None:
    """Make `site` the one that pages are drawn for."""
    _sites[:] = [site]


def current_site() -> Site:
    """The site that was opened. Not a Streamlit cache: no visitor can clear it for all."""
    return _sites[0]
