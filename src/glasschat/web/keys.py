"""Keyboard shortcuts, and the dialog that lists them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from glasschat.web.language import N_, _

_SCRIPT = Path(__file__).with_name("static") / "keys.js"
_mount = st.components.v2.component(
    "glasschat_keys", html="<span></span>", js=_SCRIPT.read_text(encoding="utf-8")
)

# By the place of the key on the keyboard, whatever letter it has in another language.
SHORTCUTS: Mapping[str, tuple[str, str]] = {
    "new": ("KeyN", N_("New chat")),
    "search": ("KeyK", N_("Search chats")),
    "again": ("KeyR", N_("Answer the last question anew")),
    "edit": ("KeyE", N_("Edit the last question")),
    "previous": ("BracketLeft", N_("Previous version of the last reply")),
    "next": ("BracketRight", N_("Next version of the last reply")),
    "glass": ("KeyG", N_("Glass box of the last reply, open or closed")),
    "help": ("Slash", N_("This list")),
}
_SHOWN = {"BracketLeft": "[", "BracketRight": "]", "Slash": "/"}
FIXED_KEYS = (
    ("Enter", N_("Send the message")),
    ("Shift + Enter", N_("A new line in the message")),
    ("Esc", N_("Stop the reply; what is there stays")),
)


def listen(on_key: Callable[[str], None]) -> None:
    """Mount the shortcuts; `on_key` is called before the rerun with a name of SHORTCUTS.

    Searching is done in the browser, as it only moves the focus.
    """

    def pressed() -> None:
        name = st.session_state.keyboard.get("pressed")
        if name in SHORTCUTS:
            on_key(name)

    codes = {code: name for name, (code, _meaning) in SHORTCUTS.items()}
    with st.container(key="keyboard_place"):
        _mount(key="keyboard", data={"codes": codes}, on_pressed_change=pressed)


def show_help() -> None:
    """Open the dialog that lists all shortcuts."""

    @st.dialog(_("Keyboard"))
    def dialog() -> None:
        rows = [*FIXED_KEYS]
        for code, meaning in SHORTCUTS.values():
            rows.append((f"Alt + {_SHOWN.get(code, code.removeprefix('Key'))}", meaning))
        table = "\n".join(f"| `{keys}` | {_(meaning)} |" for keys, meaning in rows)
        st.markdown(f"| {_('Keys')} | {_('What they do')} |\n|---|---|\n{table}")

    dialog()
