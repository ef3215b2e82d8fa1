"""The glass box on the page: a component beside the chat, opened on one reply."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from glasschat.backends.base import Capability
from glasschat.chat import Node
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.labels import labels
from glasschat.web.glass.routes import PATH, VERSION
from glasschat.web.glass.start_options import saved_start_options, starts_paused
from glasschat.web.language import _, current_language
from glasschat.web.site import Site

_HERE = Path(__file__).parent
# Its parts are fetched from `routes`; what is mounted here fetches them.
_mount = st.components.v2.component(
    "glasschat_box",
    html='<aside class="box"></aside>',
    css=(_HERE / "static" / "box.css").read_text(encoding="utf-8"),
    js=(_HERE / "loader.js").read_text(encoding="utf-8"),
)
# The chat makes room where there is enough of it.
_SPACE_CSS = """
@media (min-width: 1101px) {
  [data-testid="stApp"] { --box-width: 46vw; }
  section[data-testid="stMain"], .stMain { width: auto; margin-right: 46vw; }
}
/* Below it there is room for the reply or for the input, and the box is about the reply. */
@media (max-width: 1100px) {
  .stMain { padding-bottom: 62vh; }
  [data-testid="stBottom"] { display: none; }
}
"""

TABS = [
    "tokens",
    "what_if",
    "setting_effects",
    "prompt",
    "debugger",
    "compare",
    "walkthrough",
]
"""The parts of the glass box: each is a module in `static/`."""

Act = Callable[[dict[str, Any]], None]


def draw_box(site: Site, subject: Subject, reply: Node, *, idle: bool, on_act: Act) -> None:
    """Draw the glass box of a reply, which is that turn.

    `on_act` is called before the rerun with what was clicked: the name of an `action` and what
    belongs to it. While it is `idle` another reply may be started.
    """
    missing = site.with_writer(reply).backend.describe().missing
    can_branch = idle and Capability.BRANCHING not in missing
    debugs = Capability.DEBUGGER not in missing

    def act() -> None:
        action = st.session_state.glass_box.get("act")
        if action:
            on_act(dict(action))

    st.html(f"<style>{_SPACE_CSS}</style>")
    _mount(
        key="glass_box",
        data={
            "key": site.box_keys.open(subject),
            "files": f"{PATH}/static/{VERSION}/",
            "language": current_language().tag,
            "words": labels(),
            "tabs": TABS,
            "can_branch": can_branch,
            "can_ask": idle,
            "closed": {}
            if debugs
            else {"debugger": _("Another server writes: nobody can pause it.")},
            "compared": st.session_state.get("compared", []),
            "paused": starts_paused(),
            "breakpoints": list(saved_start_options().get("breakpoints", ())),
        },
        on_act_change=act,
    )
