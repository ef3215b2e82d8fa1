"""What a visitor is told above the input: what went wrong, and what can be undone."""

from collections.abc import Callable

import streamlit as st

from glasschat.errors import GlasschatError
from glasschat.web.error_text import explain
from glasschat.web.language import _
from glasschat.web.session import take

_NOTICE, _UNDO = "notice", "undo"


def attempt(action: Callable[[], object]) -> bool:
    """Do it; if something is wrong with it, say so on the page and lose nothing."""
    try:
        action()
    except GlasschatError as error:
        say(explain(error))
        return False
    return True


def say(text: str) -> None:
    """Tell the visitor something on the page's next run."""
    st.session_state[_NOTICE] = text


def told() -> str | None:
    """What the visitor is to be told, if there is something."""
    notice: str | None = st.session_state.get(_NOTICE)
    return notice


def forget() -> None:
    """It has been said."""
    take(_NOTICE)


def offer_undo(text: str, undo: Callable[[], object]) -> None:
    """Say what was done, with a button that undoes it, until something else is."""
    st.session_state[_UNDO] = (text, undo)


def withdraw_undo() -> None:
    """Nothing can be undone any more."""
    take(_UNDO)


def draw_undo() -> None:
    """What was done last, if it can be undone."""
    if (offered := st.session_state.get(_UNDO)) is None:
        return
    text, undo = offered

    def undone() -> None:
        if attempt(undo):
            withdraw_undo()

    with st.container(key="undo_line", horizontal=True, vertical_alignment="center"):
        st.caption(text, width="stretch")
        st.button(_("Undo"), key="undo_button", on_click=undone, type="tertiary")
        st.button(
            ":material/close:",
            key="undo_close",
            on_click=withdraw_undo,
            type="tertiary",
            help=_("Close"),
        )
