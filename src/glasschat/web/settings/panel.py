"""The panel of settings: the original's three first, the rest folded away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import streamlit as st

from glasschat.backends import Description
from glasschat.chat.presets import DEFAULTS, Preset
from glasschat.chat.user_presets import UserPresets
from glasschat.prompt import ContextPolicy
from glasschat.web.language import N_, _, current_language
from glasschat.web.markup import plain_label
from glasschat.web.settings import custom_stage_state, state
from glasschat.web.settings.custom_stage_sections import draw_custom_stages
from glasschat.web.settings.fields import (
    LEAST_REPLY,
    LONGEST_REPLY,
    NUMBERS,
    SLIDERS,
    Number,
    format_value,
    is_off,
    label,
)
from glasschat.web.settings.preset_picker import PresetPicker, shown_name
from glasschat.web.settings.row import STYLE, draw_back, row

SHORTEST = 8
"""Tokens of the least Max Length, as the original has it."""

UNKNOWN = 131_072
"""Tokens of the greatest Max Length where a server does not tell its context."""

HOTTEST = 1.0
"""The end of the slider for the temperature, as the original has it."""

_HOTTEST, _DRAWN_IN = "hottest", "settings_drawn_in"
_LISTS = {"preset", "context_policy"}

_POLICIES = {
    ContextPolicy.REFUSE: N_("Refuse the message"),
    ContextPolicy.LEAVE_OUT_OLDEST: N_("Leave out the oldest turns"),
}


class SettingsPanel:
    """Draws the widgets, and puts back what was changed.

    A setting that differs from the chosen preset shows the preset's value beside its name; a
    click on it puts that back.
    """

    def __init__(self, description: Description, own: UserPresets, owner: str) -> None:
        self._most = max(SHORTEST, description.context or UNKNOWN)
        self._server = description.detail
        self._not_taken = description.not_taken
        self._recommended = description.recommended
        self._classes = description.stage_classes
        self._choice = PresetPicker(self._recommended, self._most, own, owner)

    def draw(self, on_clear: Callable[[], None]) -> None:
        """Draw the panel; `on_clear` is called when Clear Chat History is clicked."""
        st.html(f"<style>{STYLE}</style>")
        self._initialize()
        with st.container(key="settings"):
            preset = self._choice.draw()
            help_ = N_("Prompt and reply together, in tokens.")
            with self._row(preset, "max_length"):
                self._slider("max_length", SHORTEST, self._most, 1, help_)
            for field in SLIDERS:
                with self._row(preset, field.name):
                    hot = field.name == "temperature"
                    high = self._highest_temperature(preset) if hot else field.high
                    self._slider(field.name, field.low, high, field.step, field.help)
            st.button(_("Clear Chat History"), key="clear", on_click=on_clear, width="stretch")
            st.text_area(
                _("System prompt"),
                key="system",
                height=80,
                placeholder=_("You are a helpful assistant."),
                help=_("Read by the model before the conversation, from the next reply on."),
                persist_state="session",
            )
            with st.expander(_("More settings"), key="more"):
                self._draw_more(preset)
            draw_custom_stages(self._classes, preset)
            self._draw_not_accepted()
        self._choice.draw_dialog()

    def _draw_not_accepted(self) -> None:
        """Draw the names of settings that the server does not accept and that do nothing."""
        names = [field.name for field in (*NUMBERS, LEAST_REPLY) if field.name in self._not_taken]
        shown = [
            f"{label(name)} {format_value(name, state.value(name))}"
            for name in names
            if not is_off(name, state.value(name))
        ]
        if shown:
            st.caption(
                _(
                    "{server} does not take these settings, so they do nothing: {settings}.",
                    server=plain_label(self._server),
                    settings=", ".join(shown),
                )
            )

    def _initialize(self) -> None:
        """Give values to widgets that have none, and keep all within their limits.

        The values are never given to the widgets as well: Streamlit complains of both.
        """
        now = st.session_state
        limits = {field.name: (field.low, field.high) for field in (*SLIDERS, *NUMBERS)}
        limits |= {field.name: (field.low, self._most) for field in (LEAST_REPLY, LONGEST_REPLY)}
        limits["max_length"] = SHORTEST, self._most
        first = {name: getattr(DEFAULTS, name) for name in (*limits, "do_sample")}
        first |= {"max_new_tokens": state.USUAL_LIMIT, "limit_reply": False}
        for name, value in first.items():
            now.setdefault(name, value)
        custom_stage_state.initialize(self._classes)
        if now.get(_DRAWN_IN) != current_language():
            now[_DRAWN_IN] = current_language()
            # A list that is open already would go on showing the other language's word.
            for name in _LISTS & now.keys():
                now[name] = now[name]
        for name, (low, high) in limits.items():
            bounded = type(first[name])(min(max(now[name], low), high))
            # A value that is set anew with every run would throw back a slider that is moving.
            if bounded != now[name] or type(bounded) is not type(now[name]):
                now[name] = bounded

    @contextmanager
    def _row(self, preset: Preset, name: str) -> Iterator[None]:
        """Open a setting's row; behind the widget, offer the preset's value where it differs."""
        with row(name):
            yield
            if preset.differs(name, state.value(name)):
                value = preset.value(name)
                help_ = _("Back to {preset}", preset=plain_label(shown_name(preset)))
                draw_back(name, value, partial(state.set_widgets, {name: value}), help_)

    def _slider(self, name: str, low: float, high: float, step: float, help_: str) -> None:
        st.slider(
            label(name),
            low,
            high,
            step=step,
            key=name,
            format="localized" if name == "max_length" else None,
            help=_(help_),
            persist_state="session",
        )

    def _highest_temperature(self, preset: Preset) -> float:
        """Return the end of the temperature slider: higher where a preset or an import is higher.

        It never falls again, as a slider of another length begins anew.
        """
        wanted = (
            HOTTEST,
            self._recommended.get("temperature", 0.0),
            preset.value("temperature"),
            st.session_state.temperature,
            st.session_state.get(_HOTTEST, 0.0),
        )
        hottest = float(max(wanted))
        if hottest != st.session_state.get(_HOTTEST):
            st.session_state[_HOTTEST] = hottest
            st.session_state.temperature = float(st.session_state.temperature)
        return hottest

    def _draw_more(self, preset: Preset) -> None:
        with self._row(preset, "do_sample"):
            st.toggle(
                label("do_sample"),
                key="do_sample",
                help=_("Off: the likeliest token is always taken."),
                persist_state="session",
            )
        for field in NUMBERS:
            with self._row(preset, field.name):
                self._number(field, field.high)
        with self._row(preset, "min_new_tokens"):
            self._number(LEAST_REPLY, self._most)
        with self._row(preset, "max_new_tokens"):
            st.checkbox(_("Limit the reply"), key="limit_reply", persist_state="session")
            if st.session_state.limit_reply:
                self._number(LONGEST_REPLY, self._most)
        with self._row(preset, "stop"):
            st.text_area(
                label("stop"),
                key="stop",
                height=70,
                help=_("One text a line; the reply ends before it. \\n is the end of a line."),
                persist_state="session",
            )
        with self._row(preset, "seed"):
            st.text_input(
                label("seed"),
                key="seed",
                placeholder=_("a new one each time"),
                help=_("The same seed gives the same draws."),
                persist_state="session",
            )
        st.selectbox(
            _("When the context is full"),
            list(ContextPolicy),
            key="context_policy",
            format_func=lambda policy: _(_POLICIES[policy]),
            filter_mode=None,
            help=_("The system prompt and the newest message are never left out."),
            persist_state="session",
        )
        st.toggle(
            _("Stop when the page is closed"),
            key="stop_unwatched",
            help=_("Off: a reply is written to its end, and found when you come back."),
            persist_state="session",
        )

    def _number(self, field: Number, high: float) -> None:
        st.number_input(
            _(field.label),
            field.low,
            field.typed(high),
            step=field.typed(field.step),
            format=field.format,
            key=field.name,
            help=_(field.help),
            disabled=field.name in self._not_taken,
            persist_state="session",
        )
