"""The access policy of this process, which is set once, before the first page is served."""

import streamlit as st

from glasschat.web.access.base import AccessPolicy, LocalAccess, User

_policies: list[AccessPolicy] = [LocalAccess()]


def set_access_policy(policy: AccessPolicy) -> None:
    """Make `policy` the one that pages ask."""
    _policies[:] = [policy]


def current_user() -> User:
    """Return the user that this page is drawn for.

    Every page calls it first, before it shows anything: where the visitor has to sign in, it draws
    that instead and ends the script.
    """
    return _policies[0].user()


def sign_out() -> None:
    """End the visitor's session on all tabs of this browser; for a button's `on_click`.

    The browser is sent to LOGOUT (`requests.py`), where the policy's middleware sees it first. It
    is Streamlit's own address, which serves a password just as well.
    """
    st.logout()
