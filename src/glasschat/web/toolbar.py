"""Toolbar under a turn: its figures, ‹ 2/3 ›, and its actions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from glasschat.web.language import _

_STATIC = Path(__file__).with_name("static")
# Texts arrive as data and are only ever set as text: no markup is made of them.
_mount = st.components.v2.component(
    "glasschat_toolbar",
    html='<div class="bar"></div>',
    css=(_STATIC / "toolbar.css").read_text(encoding="utf-8"),
    js=(_STATIC / "toolbar.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True)
class ToolbarContents:
    """Contents of a toolbar.

    `text` is what Copy copies. `actions` are pairs of an action and its label; on a phone all but
    `main` are behind one button. `at` of `of` is the turn's place among its siblings, from 1.
    """

    text: str
    line: str = ""
    actions: Sequence[tuple[str, str]] = ()
    main: str = ""
    at: int = 1
    of: int = 1


def draw_toolbar(tools: ToolbarContents, *, key: str, on_act: Callable[[str], None]) -> None:
    """Draw the toolbar; `on_act` is called before the rerun with an action.

    Beside those of `tools` there are "previous" and "next".
    """

    def act() -> None:
        action = st.session_state[key].get("act")
        if action:
            on_act(action)

    _mount(
        key=key,
        data={
            "text": tools.text,
            "line": tools.line,
            "actions": [list(pair) for pair in tools.actions],
            "main": tools.main,
            "at": tools.at,
            "of": tools.of,
            "words": {
                "copy": _("Copy"),
                "copied": _("Copied"),
                "refused": _("Copying is not allowed here"),
                "more": _("More"),
                "previous": _("Previous version"),
                "next": _("Next version"),
            },
        },
        on_act_change=act,
    )
