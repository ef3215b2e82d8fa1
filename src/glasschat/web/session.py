"""What a visit has put by for its next run.

Nothing is ever deleted from it: a run that was told to stop goes on to its next widget while
the run after it has begun, and Streamlit locks the two against each other only each for
itself. The older one then lists a key that is gone, and fails.
"""

from typing import Any

import streamlit as st


def take(key: str) -> Any:
    """What was put by under this key, and put it by no more; None if there is nothing."""
    value = st.session_state.get(key)
    if value is not None:
        st.session_state[key] = None
    return value
