"""What all pages of this process share. Set once, before the first page is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from glasschat.backends import Backend
from glasschat.chat import Library, Node, is_last_writer
from glasschat.chat.user_presets import UserPresets
from glasschat.web.glass.box_keys import BoxKeys
from glasschat.web.glass.cross_scoring import CrossScorer


@dataclass(frozen=True, slots=True)
class Site:
    """The backend, the conversations, everybody's own presets, and the open glass boxes.

    `others` may be chosen instead of the backend, by their names; `own` is the one that has none,
    whichever is chosen.
    """

    backend: Backend
    library: Library
    presets: UserPresets
    box_keys: BoxKeys = field(default_factory=BoxKeys)
    others: Mapping[str, Backend] = field(default_factory=dict)
    cross_scorer: CrossScorer = field(default_factory=CrossScorer)
    own: Backend | None = None

    @property
    def named(self) -> dict[str, Backend]:
        """All backends by their names, the one without a name first."""
        return {"": self.own or self.backend, **self.others}

    def with_chosen(self, name: str) -> "Site":
        """The same with another backend; with its own for a name that is none's."""
        own = self.own or self.backend
        return replace(self, backend=self.others.get(name, own), own=own)

    def with_writer(self, reply: Node) -> "Site":
        """The same with the backend that wrote the newest of that reply, if it is offered."""
        for name, backend in self.named.items():
            if is_last_writer(backend, reply):
                return self.with_chosen(name)
        return self


_sites: list[Site] = []


def open_site(site: Site) -> None:
    """Make `site` the one that pages are drawn for."""
    _sites[:] = [site]


def current_site() -> Site:
    """The site that was opened. Not a Streamlit cache: no visitor can clear it for all."""
    return _sites[0]
