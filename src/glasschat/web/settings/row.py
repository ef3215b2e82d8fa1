"""A row of the panel: a widget, and a button that puts the preset's value back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from glasschat.web.markup import plain_label
from glasschat.web.settings.fields import format_value


@contextmanager
def row(name: str) -> Iterator[None]:
    """Open the container of a setting's widget."""
    with st.container(key=f"set_{name}", gap=None):
        yield


def draw_back(name: str, value: Any, put: Callable[[], None], help_: str) -> None:
    """Draw, behind the widget in its row, a button that shows `value` and puts it back."""
    st.button(
        f":primary[:material/undo: {plain_label(format_value(name, value))}]",
        key=f"back_{name}",
        type="tertiary",
        on_click=put,
        help=help_,
    )


STYLE = """
.st-key-settings { gap: 0.75rem; }
.st-key-preset_row { gap: 0; flex-wrap: nowrap; }
.st-key-preset_row > :first-child { flex: 1 1 auto; min-width: 0; }
.st-key-preset_row button { min-height: 2.5rem; min-width: 2rem; padding: 0; }
.st-key-presets_open button { justify-content: flex-end; }
/* A sign says it for the eyes; the words are for those who hear the page. */
:is(.st-key-preset_back, .st-key-presets_open, [class*="st-key-preset_d"]) button p {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
/* What the preset has stands at the end of the setting's first line, and moves nothing. */
[class*="st-key-set_"] { position: relative; }
[class*="st-key-back_"] {
  position: absolute !important; top: 0; right: 1.5rem; width: auto !important;
}
[class*="st-key-back_"] button {
  min-height: 1.5rem; padding: 0 0.25rem;
}
[class*="st-key-back_"] button p { font-size: 0.8rem; font-variant-numeric: tabular-nums; }
@media (pointer: coarse) {
  .st-key-preset_row button { min-width: 2.5rem; }
  [class*="st-key-back_"] { top: -0.5rem; right: 1.75rem; }
  [class*="st-key-back_"] button { min-height: 2.5rem; padding: 0 0.5rem; }
}
"""
