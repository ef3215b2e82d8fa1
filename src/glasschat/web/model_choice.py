"""Choice of the model that writes the replies, where several are offered."""

import streamlit as st

from glasschat.backends import Readiness
from glasschat.chat import SavedConversation
from glasschat.web.language import _
from glasschat.web.site import Site

DEFAULT = ""
"""The name of the site's default backend; the others have names of their own."""

_CHOSEN = "backend"


def with_chosen_backend(site: Site) -> Site:
    """Return the site with the backend that this visitor has chosen."""
    return site.with_chosen(st.session_state.get(_CHOSEN, DEFAULT))


def restore_choice(site: Site, saved: SavedConversation) -> None:
    """Choose the backend that wrote a conversation last, by the name of its model.

    Nothing changes where it is not offered, or where one of that name is chosen already.
    """
    runs = [node.runs[-1] for node in saved.tree.path if node.runs]
    if not runs or not site.others:
        return
    model = runs[-1].origin.model
    if with_chosen_backend(site).backend.describe().name != model:
        names = [DEFAULT, *site.others]
        same = [n for n in names if site.with_chosen(n).backend.describe().name == model]
        if same:
            st.session_state[_CHOSEN] = same[0]


def draw_model_choice(site: Site) -> None:
    """Draw the list of models, where there is more than one; `site` has the default backend."""
    if not site.others:
        return
    st.selectbox(
        _("Model"),
        [DEFAULT, *site.others],
        key=_CHOSEN,
        format_func=lambda name: _label(site, name),
        filter_mode=None,
        help=_("Who writes the next reply: Again asks the same question of another."),
        persist_state="session",
    )


def shown_name(site: Site, name: str) -> str:
    """Return the name under which a backend is shown in lists."""
    model = site.with_chosen(name).backend.describe().name
    return model if name in (DEFAULT, model) else f"{model} ({name})"


def _label(site: Site, name: str) -> str:
    about = site.with_chosen(name).backend.describe()
    text = shown_name(site, name)
    if about.error is not None:
        return f"{text} · " + _("not reachable")
    return text if about.readiness is Readiness.READY else f"{text} · " + _("loading")
