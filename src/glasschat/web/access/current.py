"""What pages call. The access is set once, before the first page is served."""

import streamlit as st

from glasschat.web.access.base import Access, LocalAccess, Person

_accesses: list[Access] = [LocalAccess()]


def open_access(access: Access) -> None:
    """Make `access` the one that pages ask."""
    _accesses[:] = [access]


def current_person() -> Person:
    """Whoever this page is drawn for.

    The first call of every page, before it shows anything: where somebody has to sign in, it draws
    that instead and ends the script.
    """
    return _accesses[0].person()


def sign_out() -> None:
    """End the visitor's session, on all tabs of this browser; for a button's `on_click`.

    The browser is sent to LOGOUT (`wire.py`), where the gate sees it first: that it is Streamlit's
    own address serves a password just as well.
    """
    st.logout()
