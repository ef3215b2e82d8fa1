"""A section of the panel for each custom stage: its switch, and its settings when it is on.

Names and helps are the stage's own words, in whichever language it was written.
"""

from decimal import Decimal
from functools import partial
from typing import Any

import streamlit as st

from glasschat.chat.presets import Preset
from glasschat.sampling import StageClass, StageClasses, StageSetting
from glasschat.sampling.custom.stage import LONGEST_TEXT, Value
from glasschat.web.language import _
from glasschat.web.markup import plain_label
from glasschat.web.settings import custom_stage_state
from glasschat.web.settings.preset_picker import shown_name
from glasschat.web.settings.row import draw_back, row


def draw_custom_stages(classes: StageClasses, preset: Preset) -> None:
    """Draw all stages of the server, and the missing ones of a conversation or a preset."""
    missing = custom_stage_state.missing_stages()
    if not classes and not missing:
        return
    with st.container(key="own_stages", gap="small"):
        st.caption(_("Stages of your own"))
        for one in classes:
            _draw_stage(one, preset)
        for stage in missing:
            st.toggle(
                plain_label(stage.name),
                value=True,
                key=custom_stage_state.key(stage.name),
                on_change=custom_stage_state.drop_missing,
                args=(stage,),
            )
            st.caption(_("It is not on this server: turn it off to go on."))


def _draw_stage(one: StageClass, preset: Preset) -> None:
    brought = {stage.name: stage for stage in preset.value("own_stages")}.get(one.name)
    to_preset = _("Back to {preset}", preset=plain_label(shown_name(preset)))
    switch = custom_stage_state.key(one.name)
    with row(f"own_{one.name}"):
        help_ = plain_label(one.help) or None
        st.toggle(plain_label(one.label), key=switch, help=help_, persist_state="session")
        _draw_back_button(f"own_{one.name}", switch, brought is not None, to_preset)
    if not st.session_state[switch]:
        return
    before = one.usable_settings(brought.values if brought else {})
    help_ = to_preset if brought else _("Back to its default")
    for setting in one.settings:
        widget, name = (
            custom_stage_state.key(one.name, setting.name),
            f"own_{one.name}_{setting.name}",
        )
        with row(name):
            _draw_widget(setting, widget)
            _draw_back_button(name, widget, before[setting.name], help_)


def _draw_back_button(name: str, widget: str, before: Value, help_: str) -> None:
    if custom_stage_state.widget_value(widget) != before:
        draw_back(name, before, partial(custom_stage_state.put_widget, widget, before), help_)


def _draw_widget(setting: StageSetting, key: str) -> None:
    given: dict[str, Any] = {
        "key": key,
        "help": plain_label(setting.help) or None,
        "persist_state": "session",
    }
    label = plain_label(setting.label)
    if setting.kind == "bool":
        st.checkbox(label, **given)
    elif setting.kind == "choice":
        st.selectbox(label, setting.choices, format_func=str, filter_mode=None, **given)
    elif setting.kind == "str":
        st.text_input(label, max_chars=LONGEST_TEXT, **given)
    else:
        _draw_number(setting, label, given)


def _draw_number(setting: StageSetting, label: str, given: dict[str, Any]) -> None:
    """Draw a slider where both ends are known, else a number input."""
    kind = int if setting.kind == "int" else float
    low, high = (None if end is None else kind(end) for end in (setting.low, setting.high))
    step, digits = _step(setting)
    shown = None if setting.kind == "int" else f"%.{digits}f"
    if low is None or high is None:
        st.number_input(label, low, high, step=kind(step), format=shown, **given)
    else:
        st.slider(label, low, high, step=kind(step), format=shown, **given)


def _step(setting: StageSetting) -> tuple[float, int]:
    """Return the step of a widget and the number of digits that show all of its values."""
    if setting.kind == "int":
        return setting.step or 1, 0
    numbers = (setting.default, setting.low, setting.high, setting.step)
    digits = max(2, *(_digits(float(x)) for x in numbers if x is not None))
    return setting.step or 10.0**-digits, digits


def _digits(number: float) -> int:
    exponent = Decimal(repr(number)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
