"""Values of the session state that one run leaves for the next.

Nothing is ever deleted from the session state: a run that was told to stop goes on to its next
widget while the run after it has begun, and Streamlit does not lock the two against each other. The
older one would then list a key that is gone, and fail.
"""

from typing import Any

import streamlit as st


def consume(key: str) -> Any:
    """Return the value under `key` and set it to None; None if there is no value."""
    value = st.session_state.get(key)
    if value is not None:
        st.session_state[key] = None
    return value
