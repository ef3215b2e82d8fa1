"""The chat page, which Streamlit runs anew for every click of a visitor."""

import logging
import time
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from glasschat.backends import Description, Readiness
from glasschat.chat import Conversation
from glasschat.errors import StoreError
from glasschat.messages import Message
from glasschat.web import keys
from glasschat.web.access import current_user, sign_out
from glasschat.web.actions import Actions
from glasschat.web.chats import ChatList, delete_chat, new_chat
from glasschat.web.conversation_view import ConversationView
from glasschat.web.error_text import explain
from glasschat.web.language import _
from glasschat.web.language_switch import language_switch
from glasschat.web.model_choice import draw_model_choice, restore_choice, with_chosen_backend
from glasschat.web.notices import set_notice
from glasschat.web.session import consume
from glasschat.web.settings import SettingsPanel, restore
from glasschat.web.site import Site, current_site
from glasschat.web.style import STYLE

log = logging.getLogger(__name__)

POLL_S = 2.0
ICON = Path(__file__).with_name("static") / "icon.svg"


def main() -> None:
    """Draw the chat page for the current visitor."""
    st.set_page_config(page_title="glasschat", page_icon=str(ICON))
    try:
        _draw(current_site())
    except Exception:
        log.exception("the page could not be drawn")
        st.error(
            _(
                "Something went wrong while this page was drawn, and the server's log says what. "
                "Reload the page: the chat is still there."
            )
        )


def _draw(opened: Site) -> None:
    user = current_user()
    owner = user.owner
    try:
        conversation = _conversation(opened, owner)
    except StoreError as error:
        # The address stays: the chat is there again once the store can be read.
        st.error(explain(error))
        st.button(_("Try again"), key="read_again")
        return
    site = with_chosen_backend(opened)
    description = site.backend.describe()
    title = conversation.saved.title or description.name
    st.set_page_config(page_title=f"{title} · glasschat")
    st.html(f"<style>{STYLE}</style>")
    actions = Actions(site, owner)
    view = ConversationView(site, actions, conversation, description)
    chats = ChatList(site.library, owner, conversation.id)
    with st.sidebar:
        chats.draw()
        draw_model_choice(opened)
        if description.readiness is Readiness.READY:
            panel = SettingsPanel(description, site.presets, owner)
            panel.draw(on_clear=lambda: _clear(site, owner, conversation))
    with st.sidebar, st.container(key="sidebar_foot", horizontal=True):
        language_switch()
        st.button(
            ":material/keyboard:", key="keyboard_help", type="tertiary", on_click=_request_help
        )
        if user.can_sign_out:
            who = user.name or None
            st.button(_("Sign out"), key="sign_out", type="tertiary", help=who, on_click=sign_out)
    _header(site, conversation, description)
    chats.draw_dialog()
    loading = st.empty()
    if consume("help_wanted"):
        keys.show_help()
    keys.listen(actions.press_shortcut)
    view.draw()
    if description.readiness is Readiness.LOADING:
        _wait_for_model(site, loading)
    if description.readiness is Readiness.FAILED:
        why = explain(Message("the model cannot be used: {error}", error=description.error))
        st.error(why + " " + _("Once that is mended, start glasschat again."))
    if view.watch():
        st.rerun()


def _conversation(site: Site, owner: str) -> Conversation:
    """Return the conversation that the address names, or a new one of this visitor."""
    wanted = st.query_params.get("chat") or st.session_state.get("chat")
    found = site.library.find(owner, wanted) if wanted else None
    if found is None:
        found = site.library.new(owner)
        if wanted:
            st.query_params.pop("chat", None)
            set_notice(_("That chat is no longer kept here, so this is a new one: ask away."))
    st.session_state.chat = found.id
    if st.session_state.get("drawn_chat") != found.id:
        saved = found.saved
        if saved.params is not None:
            restore(saved.params, saved.system)
        restore_choice(site, saved)
        st.session_state.update(drawn_chat=found.id, turns_shown=0, pieces=0)
        consume("editing")
    found.live.mark_watched()
    return found


def _clear(site: Site, owner: str, conversation: Conversation) -> None:
    """Delete the conversation, as the original's button does, and offer to undo that."""
    if conversation.tree.nodes:
        delete_chat(site.library, owner, conversation.id, conversation.saved.title, conversation.id)
    # Only where nothing was deleted: what begins another chat takes the offer of an undo away.
    if st.session_state.get("chat") == conversation.id:
        new_chat()


def _request_help() -> None:
    st.session_state.help_wanted = True


def _header(site: Site, conversation: Conversation, description: Description) -> None:
    word = {
        Readiness.LOADING: ":orange[●] " + _("loading"),
        Readiness.READY: ":green[●] " + _("ready"),
        Readiness.FAILED: ":red[●] " + _("failed"),
    }[description.readiness]
    if description.readiness is Readiness.READY and description.error is not None:
        word = ":orange[●] " + _("not reachable")
    parts = [description.detail] if description.detail else []
    if description.context:
        parts.append(_("{context:,} tokens of context", context=description.context))
    st.title(description.name, anchor=False)
    st.caption(" · ".join([*parts, word]))
    if description.readiness is Readiness.READY and description.error is not None:
        st.warning(explain(description.error), icon=":material/cloud_off:")
        _poll_backend(site, description.error)
    trouble = conversation.outbox.trouble or site.library.trouble
    if trouble is not None:
        st.warning(
            _("This chat is not being kept: {why}", why=explain(trouble)),
            icon=":material/save:",
        )


@st.fragment(run_every=POLL_S)
def _poll_backend(site: Site, shown_error: str) -> None:
    """Draw the page anew once the error of a lost server has changed."""
    if site.backend.describe().error != shown_error:
        st.rerun()


def _wait_for_model(site: Site, place: DeltaGenerator) -> None:
    while (description := site.backend.describe()).readiness is Readiness.LOADING:
        _touched = st.session_state.get("chat")
        share, why = description.progress, description.error
        if why is not None and share == 0:
            again = _("This page looks for it again by itself.")
            place.warning(f"{explain(why)} {again}", icon=":material/cloud_off:")
        else:
            said = explain(why) if why is not None else None
            place.progress(share, said or _("Loading the model, {share:.0%}", share=share))
        time.sleep(0.2)
    st.rerun()


if __name__ == "__main__":  # as Streamlit runs it
    main()
