"""Start options of a visitor's next replies: at once, or paused for the debugger."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from glasschat.engine import DEFAULT_START, StartOptions
from glasschat.web.glass.signals import StartOptionsBody, parse_body

_KEY = "beginning"


def parse_start_options(body: Mapping[str, Any]) -> StartOptions:
    """Return start options as the debugger's page sends them.

    Raises InvalidMessage, ParameterError.
    """
    found = parse_body(StartOptionsBody, body)
    points = tuple(point.build() for point in found.breakpoints)
    return StartOptions(paused=found.paused, breakpoints=points)


def save_start_options(body: Mapping[str, Any]) -> None:
    """Use these options for all next replies of this visit.

    Raises InvalidMessage, ParameterError.
    """
    parse_start_options(body)
    st.session_state[_KEY] = dict(body)


def next_start_options() -> StartOptions:
    """Return the start options of the next reply."""
    return parse_start_options(saved_start_options()) if starts_paused() else DEFAULT_START


def starts_paused() -> bool:
    """Return whether the next replies are paused at their first token."""
    return saved_start_options().get("paused") is True


def saved_start_options() -> Mapping[str, Any]:
    """Return the options that were chosen in this visit, as the page sent them."""
    found: Mapping[str, Any] = st.session_state.get(_KEY, {})
    return found
