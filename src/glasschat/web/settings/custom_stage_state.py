"""The state of the widgets of custom stages: read and set.

Each stage has a switch and a widget for each of its settings. Stages may be set before the page
knows which ones the server has: they wait for `initialize`.
"""

from collections.abc import Iterable

import streamlit as st

from glasschat.sampling import NO_STAGES, CustomStage, StageClass, StageClasses
from glasschat.sampling.custom.stage import Value
from glasschat.web.session import consume

_CLASSES, _PUT, _ABSENT = "own_classes", "own_put", "own_absent"


def key(stage: str, setting: str | None = None) -> str:
    """Return the widget key of a stage's switch, or of one of its settings."""
    return f"own.{stage}" if setting is None else f"own.{stage}.{setting}"


def custom_stages() -> tuple[CustomStage, ...]:
    """Return the stages that are switched on, as they are set now, and the missing ones."""
    state = st.session_state
    put: tuple[CustomStage, ...] | None = state.get(_PUT)
    if put is not None:
        return put
    classes: StageClasses = state.get(_CLASSES, NO_STAGES)
    here = tuple(one.configure(_values(one)) for one in classes if state.get(key(one.name)))
    return (*here, *missing_stages())


def missing_stages() -> tuple[CustomStage, ...]:
    """Return the stages of a conversation or preset that this server lacks, until switched off."""
    found: tuple[CustomStage, ...] = st.session_state.get(_ABSENT, ())
    return found


def drop_missing(stage: CustomStage) -> None:
    """Switch off a stage that this server lacks."""
    st.session_state[_ABSENT] = tuple(other for other in missing_stages() if other != stage)


def widget_value(widget: str) -> Value:
    """Return a widget's value, rounded: sliders count in steps, and ten times 0.1 is not 1."""
    value: Value = st.session_state[widget]
    return round(value, 9) if isinstance(value, float) else value


def put_widget(widget: str, value: Value) -> None:
    """Set a widget before it is drawn."""
    st.session_state[widget] = value


def put_custom_stages(stages: Iterable[CustomStage]) -> None:
    """Switch these stages on and all others off, before their widgets are drawn (in callbacks)."""
    st.session_state[_PUT] = tuple(stages)


def initialize(classes: StageClasses) -> None:
    """Give values to widgets that have none, and apply stages that were set meanwhile."""
    state = st.session_state
    if state.get(_PUT) is None and state.get(_CLASSES, classes) != classes:
        # Stages of another model: what this one lacks is shown as missing, and comes back with the
        # first model.
        put_custom_stages(custom_stages())
    state[_CLASSES] = classes
    for one in classes:
        state.setdefault(key(one.name), False)
        for setting in one.settings:
            state.setdefault(key(one.name, setting.name), setting.default)
    if (wanted := consume(_PUT)) is None:
        return
    put = {stage.name: stage for stage in wanted}
    for one in classes:
        stage = put.pop(one.name, None)
        state[key(one.name)] = stage is not None
        for name, value in one.usable_settings(stage.values if stage else _values(one)).items():
            state[key(one.name, name)] = value
    state[_ABSENT] = tuple(put.values())


def _values(one: StageClass) -> dict[str, Value]:
    return {setting.name: widget_value(key(one.name, setting.name)) for setting in one.settings}
