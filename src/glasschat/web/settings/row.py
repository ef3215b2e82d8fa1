"""A row of the panel: a widget, and beside its name what it goes back to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from glasschat.web.markup import plain_label
from glasschat.web.settings.fields import written


@contextmanager
def row(name: str) -> Iterator[None]:
    """The place of a setting's widget."""
    with st.container(key=f"set_{name}", gap=None):
        yield


def draw_back(name: str, value: Any, put: Callable[[], None], help_: str) -> None:
    """In the row, behind its widget: a button that shows `value` and puts it back."""
    st.button(
        f":primary[:material/undo: {plain_label(written(name, value))}]",
        key=f"back_{name}",
        type="tertiary",
        on_click=put,
        help=help_,
    )
