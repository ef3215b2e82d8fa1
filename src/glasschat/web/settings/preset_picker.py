"""The list of presets, and the button that puts all settings back to the chosen one."""

from collections.abc import Mapping

import streamlit as st

from glasschat.chat.presets import (
    CREATIVE,
    MODEL_DEFAULTS,
    ORIGINAL,
    PRECISE,
    Preset,
    built_in_presets,
)
from glasschat.chat.user_presets import UserPresets
from glasschat.errors import StoreError
from glasschat.web.language import N_, _, ngettext
from glasschat.web.markup import plain_label
from glasschat.web.session import consume
from glasschat.web.settings import state
from glasschat.web.settings.preset_dialog import PresetDialog

_NAMES = {
    ORIGINAL.name: N_("Original"),
    MODEL_DEFAULTS: N_("Model's own"),
    PRECISE.name: N_("Precise"),
    CREATIVE.name: N_("Creative"),
}
_CHOSEN, _BEFORE, _OPENED = "preset", "preset_before", "presets_opened"


def shown_name(preset: Preset) -> str:
    """Return a preset's name; that of a built-in one in the visitor's language."""
    return _(_NAMES[preset.name]) if preset.name in _NAMES else preset.name


class PresetPicker:
    """The presets of one visitor, and the chosen one."""

    def __init__(
        self, recommended: Mapping[str, float], most: int, own: UserPresets, owner: str
    ) -> None:
        """`most` is the number of tokens that prompt and reply may have together."""
        self._own = own
        self._owner = owner
        self._most = most
        found = (*built_in_presets(recommended), *self._user_presets())
        self._presets = {preset.name: preset.limit_to_context(most) for preset in found}

    def draw(self) -> Preset:
        """Draw the list and its two buttons; return the chosen preset."""
        chosen = self._resolve_choice()
        changed = chosen.list_changes(state.values())
        with st.container(key="preset_row", horizontal=True, vertical_alignment="bottom"):
            st.selectbox(
                _("Preset"),
                list(self._presets),
                key=_CHOSEN,
                format_func=lambda name: shown_name(self._presets[name]),
                on_change=self._on_change,
                filter_mode=None,
                persist_state="session",
            )
            st.button(
                _("Put all back"),
                key="preset_back",
                icon=":material/undo:",
                type="tertiary",
                disabled=not changed,
                on_click=state.set_widgets,
                args=({name: chosen.value(name) for name in changed},),
                help=ngettext(
                    "{n} setting differs from {preset}: put it back",
                    "{n} settings differ from {preset}: put them back",
                    len(changed),
                    preset=plain_label(shown_name(chosen)),
                )
                if changed
                else _("Nothing differs from the preset"),
            )
            st.button(
                _("Your presets"),
                key="presets_open",
                icon=":material/bookmark_manager:",
                type="tertiary",
                on_click=_open_dialog,
                help=_("Your presets: save, share, delete"),
            )
        return chosen

    def draw_dialog(self) -> None:
        """Open the dialog of the visitor's presets, if it was asked for."""
        if consume(_OPENED):
            consume(state.OWN_PRESETS)
            chosen = self._chosen().name
            name = "" if chosen in _NAMES else chosen
            PresetDialog(self._own, self._owner, name, self._most, self._choose).draw()

    def _user_presets(self) -> tuple[Preset, ...]:
        """Return the visitor's presets, which are loaded once and after each change."""
        if st.session_state.get(state.OWN_PRESETS) is None:
            try:
                st.session_state[state.OWN_PRESETS] = self._own.presets(self._owner)
            except StoreError:
                # The dialog says why; the built-in ones are there all the same.
                st.session_state[state.OWN_PRESETS] = ()
        owns: tuple[Preset, ...] = st.session_state[state.OWN_PRESETS]
        return owns

    def _chosen(self) -> Preset:
        return self._presets.get(st.session_state.get(_CHOSEN, ""), self._presets[ORIGINAL.name])

    def _resolve_choice(self) -> Preset:
        """Return the chosen preset; after settings were restored, the one that they equal."""
        chosen = self._chosen()
        if consume(state.RESTORED):
            now = state.values()
            alike = [preset for preset in self._presets.values() if not preset.list_changes(now)]
            chosen = chosen if chosen in alike or not alike else alike[0]
        if st.session_state.get(_CHOSEN) != chosen.name:
            st.session_state[_CHOSEN] = chosen.name
        st.session_state[_BEFORE] = chosen
        return chosen

    def _on_change(self) -> None:
        self._choose(self._chosen())

    def _choose(self, preset: Preset) -> None:
        before: Preset | None = st.session_state.get(_BEFORE)
        state.set_widgets(preset.values_to_apply(state.values(), replacing=before))
        st.session_state[_CHOSEN] = preset.name
        consume(state.OWN_PRESETS)


def _open_dialog() -> None:
    st.session_state[_OPENED] = True
