"""The end of a reply that is being written: text that comes without a rerun of the page."""

from pathlib import Path

import streamlit as st

from glasschat.web.streaming import address

_STATIC = Path(__file__).with_name("static")
# In the page's own style, so that a block looks the same before and after it is finished.
_mount = st.components.v2.component(
    "glasschat_live",
    html='<div class="live" aria-live="off"></div>',
    css=(_STATIC / "live.css").read_text(encoding="utf-8"),
    js=(_STATIC / "live.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def live_text(generation_id: str, body_key: str, first_block: int) -> None:
    """Show what a reply has behind the blocks that stand in the container `body_key`.

    Blocks from `first_block` on are fetched; one that comes to stand in the container is taken
    away here in the same moment.
    """
    data = {"address": address(generation_id, first_block), "body": f".st-key-{body_key}"}
    _mount(key=f"live_{generation_id}", data=data)
