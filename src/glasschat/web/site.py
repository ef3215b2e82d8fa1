"""The site: what all pages of this process share, set once before the first page is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from glasschat.backends import Backend
from glasschat.chat import Library, Node, is_last_writer
from glasschat.chat.user_presets import UserPresets
from glasschat.web.glass.box_keys import BoxKeys
from glasschat.web.glass.cross_scoring import CrossScorer


@dataclass(frozen=True, slots=True)
class Site:
    """The backend, the conversations, everybody's presets, and the open glass boxes.

    `others` are backends that may be chosen instead, by their names. `default_backend` is the one
    without a name, whichever is chosen.
    """

    backend: Backend
    library: Library
    presets: UserPresets
    box_keys: BoxKeys = field(default_factory=BoxKeys)
    others: Mapping[str, Backend] = field(default_factory=dict)
    cross_scorer: CrossScorer = field(default_factory=CrossScorer)
    default_backend: Backend | None = None

    @property
    def named(self) -> dict[str, Backend]:
        """All backends by their names; the default backend comes first, under ""."""
        return {"": self.default_backend or self.backend, **self.others}

    def with_chosen(self, name: str) -> "Site":
        """Return this site with the backend of that name, else with the default backend."""
        default = self.default_backend or self.backend
        return replace(self, backend=self.others.get(name, default), default_backend=default)

    def with_writer(self, reply: Node) -> "Site":
        """Return this site with the backend that wrote that reply last, if it is offered."""
        for name, backend in self.named.items():
            if is_last_writer(backend, reply):
                return self.with_chosen(name)
        return self


_sites: list[Site] = []


def set_site(site: Site) -> None:
    """Make `site` the one that pages are drawn for."""
    _sites[:] = [site]


def current_site() -> Site:
    """Return the site. It is no Streamlit cache, which one visitor could clear for all."""
    return _sites[0]
