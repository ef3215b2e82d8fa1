"""Dialog of the visitor's presets: save the settings, share presets as files, delete."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from glasschat.chat.presets import DEFAULTS, MAX_NAME_CHARS, Preset, make_preset
from glasschat.chat.presets_file import (
    MOST_BYTES,
    ImportedPresets,
    presets_as_file,
    presets_from_file,
)
from glasschat.chat.user_presets import UserPresets
from glasschat.errors import GlasschatError, StoreError
from glasschat.web.error_text import explain
from glasschat.web.language import _, ngettext
from glasschat.web.markup import plain_label
from glasschat.web.notices import attempt, offer_undo
from glasschat.web.session import consume
from glasschat.web.settings import state
from glasschat.web.settings.fields import summary

_DONE, _TROUBLE, _FILE, _REPORT = (
    "presets_done",
    "presets_trouble",
    "presets_file_read",
    "presets_report",
)


class PresetDialog:
    """Dialog of one visitor. `choose` makes a preset the chosen one; `name` is proposed.

    `most` is the greatest Max Length here: where it is set, the preset has none of its own.
    """

    def __init__(
        self, own: UserPresets, owner: str, name: str, most: int, choose: Callable[[Preset], None]
    ) -> None:
        self._own = own
        self._owner = owner
        self._name = name
        self._most = most
        self._choose = choose

    def draw(self) -> None:
        """Open the dialog of the visitor's own presets."""
        for key in (_DONE, _TROUBLE, _FILE, _REPORT):
            consume(key)
        st.dialog(_("Your presets"), on_dismiss="rerun")(self.draw_body)()

    def draw_body(self) -> None:
        """Draw what is in the dialog; a click in it draws this alone anew."""
        if consume(_DONE):
            st.rerun()
        self._save_form()
        try:
            owns = self._own.presets(self._owner)
        except StoreError as error:
            st.error(explain(error))
            owns = ()
        if owns:
            with st.container(key="own_presets", gap="small"):
                for number, preset in enumerate(owns):
                    self._row(number, preset)
        with st.container(key="presets_files", gap="small"):
            self._files(owns)

    def _save_form(self) -> None:
        with (
            st.form("preset_form", border=False),
            st.container(key="preset_save_row", horizontal=True, vertical_alignment="bottom"),
        ):
            st.text_input(
                _("Save the current settings as"),
                value=self._name,
                key="preset_name",
                max_chars=MAX_NAME_CHARS,
                placeholder=_("Name"),
                help=_("A preset of that name that you have already is replaced."),
            )
            st.form_submit_button(_("Save"), key="preset_save", type="primary", on_click=self._save)
        if (trouble := consume(_TROUBLE)) is not None:
            st.error(trouble)

    def _save(self) -> None:
        try:
            params = state.settings().params
            if params.max_length >= self._most:
                params = replace(params, max_length=DEFAULTS.max_length)
            preset = make_preset(st.session_state.preset_name, params)
            self._own.save(self._owner, preset)
        except GlasschatError as error:
            st.session_state[_TROUBLE] = explain(error)
            return
        self._choose(preset)
        st.session_state[_DONE] = True

    def _row(self, number: int, preset: Preset) -> None:
        with st.container(key=f"own_preset_{number}", horizontal=True, vertical_alignment="center"):
            with st.container(key=f"own_preset_text_{number}", gap=None):
                st.markdown(plain_label(preset.name))
                st.caption(plain_label(summary(preset)))
            st.download_button(
                _("Download"),
                presets_as_file([preset]),
                f"{_file_name(preset.name)}.json",
                "application/json",
                key=f"preset_download_{number}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                help=_("Download"),
            )
            st.button(
                _("Delete"),
                key=f"preset_delete_{number}",
                icon=":material/delete:",
                type="tertiary",
                on_click=self._delete,
                args=(preset,),
                help=_("Delete"),
            )

    def _delete(self, preset: Preset) -> None:
        if attempt(lambda: self._own.delete(self._owner, preset.name)):
            offer_undo(
                _("“{title}” was deleted.", title=plain_label(preset.name)),
                lambda: self._keep(preset),
            )
        st.session_state[_DONE] = True

    def _keep(self, preset: Preset) -> None:
        self._own.save(self._owner, preset)
        consume(state.OWN_PRESETS)

    def _files(self, owns: tuple[Preset, ...]) -> None:
        if len(owns) > 1:
            st.download_button(
                _("Download all"),
                presets_as_file(owns),
                "presets.json",
                "application/json",
                key="presets_download",
                icon=":material/download:",
                on_click="ignore",
                width="stretch",
            )
        uploaded = st.file_uploader(
            _("Add presets from a file"),
            type=["json"],
            key="presets_file",
            max_upload_size=-(-MOST_BYTES // 2**20),
        )
        if uploaded is None:
            return
        # A rerun of the dialog is not another import of the same file.
        if st.session_state.get(_FILE) != uploaded.file_id:
            st.session_state[_FILE] = uploaded.file_id
            try:
                st.session_state[_REPORT] = self._import(uploaded.getvalue())
            except GlasschatError as error:
                st.session_state[_REPORT] = explain(error)
            # The list above shows what came.
            st.rerun(scope="fragment")
        _draw_report(st.session_state[_REPORT])

    def _import(self, data: bytes) -> ImportedPresets:
        read = presets_from_file(data)
        added = tuple(self._own.add(self._owner, preset) for preset in read.presets)
        return ImportedPresets(added, read.skipped)


def _draw_report(report: ImportedPresets | str) -> None:
    if isinstance(report, str):
        st.error(report)
        return
    names = ", ".join(plain_label(preset.name) for preset in report.presets)
    count = len(report.presets)
    if count:
        st.success(ngettext("Added: {names}", "{n} added: {names}", count, names=names))
    else:
        st.warning(_("No preset was added."))
    for skipped in report.skipped[:20]:
        where, why = plain_label(skipped.where), plain_label(explain(skipped.why))
        st.caption(_("Left out, {where}: {why}", where=where, why=why))


def _file_name(name: str) -> str:
    """Return a file name that every system takes."""
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())[:60] or "preset"
