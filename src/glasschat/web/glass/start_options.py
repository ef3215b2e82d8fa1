"""How a visitor's next replies begin: at once, or paused for the debugger."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from glasschat.engine import DEFAULT_START, StartOptions
from glasschat.web.glass.debugger import breakpoints

_KEY = "beginning"


def beginning_of(asked: Mapping[str, Any]) -> StartOptions:
    """As the debugger's page asks for it. Raises InvalidMessage, ParameterError."""
    points = breakpoints(asked.get("breakpoints", ()))
    return StartOptions(paused=asked.get("paused") is True, breakpoints=points)


def begin_with(asked: Mapping[str, Any]) -> None:
    """Let every next reply of this visit begin so. Raises InvalidMessage, ParameterError."""
    beginning_of(asked)
    st.session_state[_KEY] = dict(asked)


def first() -> StartOptions:
    """How the next reply begins."""
    return beginning_of(chosen()) if pauses() else DEFAULT_START


def pauses() -> bool:
    """Whether the next replies wait at their first token."""
    return chosen().get("paused") is True


def chosen() -> Mapping[str, Any]:
    """What was chosen in this visit."""
    found: Mapping[str, Any] = st.session_state.get(_KEY, {})
    return found
