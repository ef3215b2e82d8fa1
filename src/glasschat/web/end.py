"""Where the page is scrolled to.

Streamlit scrolls to the end of a chat by itself when its input has not been placed: it then looks
sixty times a second, for as long as the page is open, and every look makes the browser work out
the page's style anew. Here the input is placed, and the page is scrolled when something happens.
"""

from pathlib import Path

import streamlit as st

_SCRIPT = Path(__file__).with_name("static") / "end.js"
_mount = st.components.v2.component(
    "glasschat_end", html="<span></span>", js=_SCRIPT.read_text(encoding="utf-8")
)


def show_end(end: str) -> None:
    """Scroll to the end once `end`, a name for it, is another than it was."""
    with st.container(key="end_place"):
        _mount(key="end", data={"end": end})
