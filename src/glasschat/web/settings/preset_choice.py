"""Which preset is chosen, and whether anything differs from it."""

from collections.abc import Mapping

import streamlit as st

from glasschat.chat.presets import CREATIVE, MODELS_OWN, ORIGINAL, PRECISE, Preset, built_in
from glasschat.chat.user_presets import UserPresets
from glasschat.errors import StoreError
from glasschat.web.language import N_, _, ngettext
from glasschat.web.markup import plain_label
from glasschat.web.session import consume
from glasschat.web.settings import state
from glasschat.web.settings.preset_dialog import PresetDialog

_NAMES = {
    ORIGINAL.name: N_("Original"),
    MODELS_OWN: N_("Model's own"),
    PRECISE.name: N_("Precise"),
    CREATIVE.name: N_("Creative"),
}
_CHOSEN, _BEFORE, _OPENED = "preset", "preset_before", "presets_opened"


def shown_name(preset: Preset) -> str:
    """Its name; a built-in one's in the visitor's language."""
    return _(_NAMES[preset.name]) if preset.name in _NAMES else preset.name


class PresetChoice:
    """The presets that one visitor has, and the one that is chosen."""

    def __init__(
        self, recommended: Mapping[str, float], most: int, own: UserPresets, owner: str
    ) -> None:
        """`most` are the tokens that prompt and reply may have together."""
        self._own = own
        self._owner = owner
        self._most = most
        found = (*built_in(recommended), *self._owns())
        self._presets = {preset.name: preset.within(most) for preset in found}

    def draw(self) -> Preset:
        """The choice, a button that puts all back, and one for one's own; what is chosen."""
        chosen = self._settle()
        changed = chosen.changed(state.values())
        with st.container(key="preset_row", horizontal=True, vertical_alignment="bottom"):
            st.selectbox(
                _("Preset"),
                list(self._presets),
                key=_CHOSEN,
                format_func=lambda name: shown_name(self._presets[name]),
                on_change=self._changed,
                filter_mode=None,
                persist_state="session",
            )
            st.button(
                _("Put all back"),
                key="preset_back",
                icon=":material/undo:",
                type="tertiary",
                disabled=not changed,
                on_click=state.put,
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
                on_click=_open,
                help=_("Your presets: save, share, delete"),
            )
        return chosen

    def draw_dialog(self) -> None:
        """One's own presets, if they were asked for."""
        if consume(_OPENED):
            consume(state.OWN)
            chosen = self._chosen().name
            name = "" if chosen in _NAMES else chosen
            PresetDialog(self._own, self._owner, name, self._most, self._choose).draw()

    def _owns(self) -> tuple[Preset, ...]:
        """One's own, asked for once: what else changes them forgets them."""
        if st.session_state.get(state.OWN) is None:
            try:
                st.session_state[state.OWN] = self._own.presets(self._owner)
            except StoreError:
                # The dialog says why; the built-in ones are there all the same.
                st.session_state[state.OWN] = ()
        owns: tuple[Preset, ...] = st.session_state[state.OWN]
        return owns

    def _chosen(self) -> Preset:
        return self._presets.get(st.session_state.get(_CHOSEN, ""), self._presets[ORIGINAL.name])

    def _settle(self) -> Preset:
        """The one that is chosen; after other settings came, the one that they are of."""
        chosen = self._chosen()
        if consume(state.RESTORED):
            now = state.values()
            alike = [preset for preset in self._presets.values() if not preset.changed(now)]
            chosen = chosen if chosen in alike or not alike else alike[0]
        if st.session_state.get(_CHOSEN) != chosen.name:
            st.session_state[_CHOSEN] = chosen.name
        st.session_state[_BEFORE] = chosen
        return chosen

    def _changed(self) -> None:
        self._choose(self._chosen())

    def _choose(self, preset: Preset) -> None:
        before: Preset | None = st.session_state.get(_BEFORE)
        state.put(preset.brings(state.values(), instead_of=before))
        st.session_state[_CHOSEN] = preset.name
        consume(state.OWN)


def _open() -> None:
    st.session_state[_OPENED] = True
