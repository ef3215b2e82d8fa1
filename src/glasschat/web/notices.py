"""Notices above the input: what went wrong, and an offer to undo."""

from collections.abc import Callable

import streamlit as st

from glasschat.errors import GlasschatError
from glasschat.web.error_text import explain
from glasschat.web.language import _
from glasschat.web.session import consume

_NOTICE, _UNDO = "notice", "undo"


def attempt(action: Callable[[], object]) -> bool:
    """Run `action`; return False and set a notice where it raises a GlasschatError."""
    try:
        action()
    except GlasschatError as error:
        set_notice(explain(error))
        return False
    return True


def set_notice(text: str) -> None:
    """Show `text` on the page's next run."""
    st.session_state[_NOTICE] = text


def pending_notice() -> str | None:
    """Return the notice that is to be shown, or None."""
    notice: str | None = st.session_state.get(_NOTICE)
    return notice


def clear_notice() -> None:
    """Forget the notice, once it has been shown."""
    consume(_NOTICE)


def offer_undo(text: str, undo: Callable[[], object]) -> None:
    """Show what was done with a button that undoes it, until something else is done."""
    st.session_state[_UNDO] = (text, undo)


def withdraw_undo() -> None:
    """Take the offer to undo away."""
    consume(_UNDO)


def draw_undo() -> None:
    """Draw the offer to undo, if there is one."""
    if (offered := st.session_state.get(_UNDO)) is None:
        return
    text, undo = offered

    def undo_and_withdraw() -> None:
        if attempt(undo):
            withdraw_undo()

    with st.container(key="undo_line", horizontal=True, vertical_alignment="center"):
        st.caption(text, width="stretch")
        st.button(_("Undo"), key="undo_button", on_click=undo_and_withdraw, type="tertiary")
        st.button(
            ":material/close:",
            key="undo_close",
            on_click=withdraw_undo,
            type="tertiary",
            help=_("Close"),
        )
