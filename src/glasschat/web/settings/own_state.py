"""What the widgets of stages of one's own say, and how it is put into them.

Each stage has a switch and a widget for each of its settings. What is put may come before the page
knows which stages there are: it waits for `begin`.
"""

from collections.abc import Iterable

import streamlit as st

from glasschat.sampling import NO_STAGES, CustomStage, StageClass, StageClasses
from glasschat.sampling.custom.stage import Value
from glasschat.web.session import consume

_CLASSES, _PUT, _ABSENT = "own_classes", "own_put", "own_absent"


def key(stage: str, setting: str | None = None) -> str:
    """The key of a stage's switch, or of the widget of one of its settings."""
    return f"own.{stage}" if setting is None else f"own.{stage}.{setting}"


def own_stages() -> tuple[CustomStage, ...]:
    """Those that are switched on, as they are set now; also those that are not here."""
    state = st.session_state
    put: tuple[CustomStage, ...] | None = state.get(_PUT)
    if put is not None:
        return put
    classes: StageClasses = state.get(_CLASSES, NO_STAGES)
    here = tuple(one.configure(_values(one)) for one in classes if state.get(key(one.name)))
    return (*here, *absent())


def absent() -> tuple[CustomStage, ...]:
    """Those that a conversation or a preset brought, that are not here and not switched off yet."""
    found: tuple[CustomStage, ...] = st.session_state.get(_ABSENT, ())
    return found


def give_up(stage: CustomStage) -> None:
    """Go on without one that is not here."""
    st.session_state[_ABSENT] = tuple(other for other in absent() if other != stage)


def said(widget: str) -> Value:
    """What a widget says. Sliders count in steps, and ten times 0.1 is not 1."""
    value: Value = st.session_state[widget]
    return round(value, 9) if isinstance(value, float) else value


def put_widget(widget: str, value: Value) -> None:
    """Set one. Before it is drawn."""
    st.session_state[widget] = value


def put_own(stages: Iterable[CustomStage]) -> None:
    """Switch these on and all others off. Before their widgets are drawn: in callbacks, say."""
    st.session_state[_PUT] = tuple(stages)


def begin(classes: StageClasses) -> None:
    """Values for widgets that have none yet, and what was put since they were drawn."""
    state = st.session_state
    if state.get(_PUT) is None and state.get(_CLASSES, classes) != classes:
        # Another model's: what it does not have is to be told, and comes back with the first one.
        put_own(own_stages())
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
    return {setting.name: said(key(one.name, setting.name)) for setting in one.settings}
