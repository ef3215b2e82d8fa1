"""Which model a visitor talks to, where several are offered."""

import streamlit as st

from glasschat.backends import Readiness
from glasschat.chat import SavedConversation
from glasschat.web.language import _
from glasschat.web.site import Site

OWN = ""
"""The site's own; the others have names."""

_CHOSEN = "backend"


def chosen(site: Site) -> Site:
    """The site with the backend that this visitor has chosen."""
    return site.with_chosen(st.session_state.get(_CHOSEN, OWN))


def choose_as_before(site: Site, saved: SavedConversation) -> None:
    """Choose what wrote a conversation last, if it is there and no other of its name is chosen."""
    runs = [node.runs[-1] for node in saved.tree.path if node.runs]
    if not runs or not site.others:
        return
    model = runs[-1].origin.model
    if chosen(site).backend.describe().name != model:
        names = [OWN, *site.others]
        same = [n for n in names if site.with_chosen(n).backend.describe().name == model]
        if same:
            st.session_state[_CHOSEN] = same[0]


def draw_choice(site: Site) -> None:
    """The list, where there is more than one; `site` is the one that was opened."""
    if not site.others:
        return
    st.selectbox(
        _("Model"),
        [OWN, *site.others],
        key=_CHOSEN,
        format_func=lambda name: _shown(site, name),
        filter_mode=None,
        help=_("Who writes the next reply: Again asks the same question of another."),
        persist_state="session",
    )


def shown_name(site: Site, name: str) -> str:
    """What the backend of that name is called in a list."""
    model = site.with_chosen(name).backend.describe().name
    return model if name in (OWN, model) else f"{model} ({name})"


def _shown(site: Site, name: str) -> str:
    about = site.with_chosen(name).backend.describe()
    text = shown_name(site, name)
    if about.error is not None:
        return f"{text} · " + _("not reachable")
    return text if about.readiness is Readiness.READY else f"{text} · " + _("loading")
