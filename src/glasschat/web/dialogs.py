"""Dialogs of conversations: rename, export, import, delete a branch."""

import re
from collections.abc import Callable
from functools import partial

import streamlit as st

from glasschat.chat import Conversation, Library
from glasschat.chat.exchange import Imported, as_json, as_markdown, import_file
from glasschat.errors import GlasschatError, InvalidImport
from glasschat.web.error_text import explain
from glasschat.web.language import _, ngettext
from glasschat.web.markup import plain_label
from glasschat.web.notices import attempt

MOST_IMPORT_MB = 200
MOST_REPORTED = 20


def ask_for_title(conversation: Conversation) -> None:
    """Open the dialog that renames the conversation."""

    @st.dialog(_("Rename"))
    def dialog() -> None:
        with st.form("rename_form", border=False):
            title = st.text_input(
                _("Title"), value=conversation.saved.title, key="new_title", max_chars=200
            )
            if st.form_submit_button(_("Save"), key="save_title", type="primary"):
                if title and title.strip():
                    conversation.rename(title)
                st.rerun()

    dialog()


def ask_for_export(conversation: Conversation) -> None:
    """Open the dialog that exports the conversation: as Markdown to read, or whole as JSON."""

    @st.dialog(_("Export"))
    def dialog() -> None:
        saved = conversation.live.saved_with_progress
        name = file_name(saved.title)
        st.download_button(
            _("Markdown, to read"),
            as_markdown(saved),
            f"{name}.md",
            "text/markdown",
            key="export_markdown",
            on_click="ignore",
            width="stretch",
        )
        st.caption(_("The open path: titles, questions and replies."))
        st.download_button(
            _("JSON, to keep and to import"),
            as_json([saved]),
            f"{name}.json",
            "application/json",
            key="export_json",
            on_click="ignore",
            width="stretch",
        )
        st.caption(_("Everything: all branches, token ids, settings and figures."))

    dialog()


def file_name(title: str) -> str:
    """Return a title as a file name that every system takes."""
    bare = re.sub(r"[^\w\- ]+", " ", title)
    return "-".join(bare.split())[:60] or "chat"


def ask_for_import(library: Library, owner: str) -> None:
    """Open the dialog that imports conversations from a file, and reports what was left out."""

    @st.dialog(_("Import chats"))
    def dialog() -> None:
        st.caption(
            _(
                "An export of glasschat, the record of a reply, ChatGPT's conversations.json, or "
                "messages with role and content as OpenAI's interface has them (JSON or JSONL)."
            )
        )
        uploaded = st.file_uploader(
            _("File"),
            type=["json", "jsonl"],
            key="import_file",
            max_upload_size=MOST_IMPORT_MB,
            label_visibility="collapsed",
        )
        if uploaded is None:
            return
        # A rerun of the dialog is not another import of the same file.
        if st.session_state.get("imported_file") != uploaded.file_id:
            try:
                report = _import(library, owner, uploaded.getvalue())
            except GlasschatError as error:
                st.error(explain(error))
                return
            st.session_state.imported_file = uploaded.file_id
            st.session_state.import_report = report
        _draw_report(st.session_state.import_report)
        if st.button(_("Done"), key="import_done", type="primary"):
            st.rerun()

    dialog()


def _import(library: Library, owner: str, data: bytes) -> Imported:
    with st.spinner(_("Reading the file …")):
        imported = import_file(data, most_bytes=MOST_IMPORT_MB * 2**20)
    if not imported.conversations and not imported.skipped:
        raise InvalidImport("the file holds no chats: choose another")
    progress = st.progress(0.0)
    for number, conversation in enumerate(imported.conversations):
        library.add(owner, conversation, imported.traces)
        progress.progress((number + 1) / len(imported.conversations))
    progress.empty()
    return imported


def _draw_report(report: Imported) -> None:
    count = len(report.conversations)
    said = ngettext("{n:,} chat was imported.", "{n:,} chats were imported.", count)
    (st.success if count else st.warning)(said)
    if not report.skipped:
        return
    st.caption(_("Left out:"))
    lines = [
        f"- {plain_label(skip.where)}: {plain_label(explain(skip.why))}"
        + (f" (×{skip.count:,})" if skip.count > 1 else "")
        for skip in report.skipped[:MOST_REPORTED]
    ]
    more = len(report.skipped) - MOST_REPORTED
    if more > 0:
        lines.append("- " + ngettext("and {n:,} more", "and {n:,} more", more))
    st.markdown("\n".join(lines))


def ask_to_delete_branch(
    conversation: Conversation, node_id: str, done: Callable[[], None]
) -> None:
    """Open the dialog that deletes a turn and what is below it; `done` is called afterwards."""
    tree = conversation.tree
    if node_id not in tree or not tree.visible(node_id):
        return
    below = sum(
        1
        for node in tree.nodes
        if node.id != node_id
        and tree.visible(node.id)
        and any(above.id == node_id for above in tree.path_to(node.id))
    )

    @st.dialog(_("Delete"))
    def dialog() -> None:
        if tree[node_id].role == "user":
            st.markdown(_("Delete this message?"))
        else:
            st.markdown(_("Delete this reply?"))
        if below:
            st.markdown(
                ngettext(
                    "{n:,} turn below it goes with it.", "{n:,} turns below it go with it.", below
                )
            )
        with st.container(key="delete_choice", horizontal=True):
            if st.button(_("Delete"), key="delete_yes", type="primary"):
                if attempt(partial(conversation.delete_branch, node_id)):
                    done()
                st.rerun()
            if st.button(_("Keep"), key="delete_no"):
                st.rerun()

    dialog()
