"""The chat page: run anew by Streamlit for every click of a visitor."""

import time
from collections.abc import Callable

import streamlit as st

from glasschat.backends import Description, Readiness
from glasschat.chat import Conversation
from glasschat.errors import GlasschatError
from glasschat.web import sidebar, transcript
from glasschat.web.site import Site, current_site
from glasschat.web.style import STYLE

EXAMPLES = (
    "Why is the sky blue?",
    "Write a haiku about the sea.",
    "Explain recursion with a short Python example.",
)


def main() -> None:
    """Draw the page."""
    site = current_site()
    description = site.backend.describe()
    st.set_page_config(page_title=f"{description.name} · glasschat", page_icon="◇")
    st.html(f"<style>{STYLE}</style>")
    conversation = _conversation(site)
    _header(description, conversation)
    if description.readiness is Readiness.LOADING:
        _wait_for_model(site)
    if description.readiness is Readiness.FAILED:
        st.error(f"The model cannot be used: {description.error}")
        return
    sidebar.draw(description, conversation)
    _chat(site, conversation)


def _conversation(site: Site) -> Conversation:
    """The conversation that the address names, or this visitor's own new one."""
    wanted = st.query_params.get("chat") or st.session_state.get("chat")
    found = site.conversations.find(wanted) if wanted else None
    if found is None:
        found = site.conversations.add()
        st.query_params.pop("chat", None)
    elif st.session_state.get("chat") != found.id:
        sidebar.restore(found.settings)
    st.session_state.chat = found.id
    return found


def _header(description: Description, conversation: Conversation) -> None:
    word = {
        Readiness.LOADING: ":orange[●] loading",
        Readiness.READY: ":green[●] ready",
        Readiness.FAILED: ":red[●] failed",
    }[description.readiness]
    if conversation.generation is not None:
        word = ":blue[●] writing"
    parts = [description.detail] if description.detail else []
    if description.context:
        parts.append(f"{description.context:,} tokens")
    st.title(description.name, anchor=False)
    st.caption(" · ".join([*parts, word]))


def _wait_for_model(site: Site) -> None:
    place = st.empty()
    while (description := site.backend.describe()).readiness is Readiness.LOADING:
        _ = st.session_state.get("chat")
        place.progress(description.progress, f"Loading the model, {description.progress:.0%}")
        time.sleep(0.2)
    st.rerun()


def _chat(site: Site, conversation: Conversation) -> None:
    generation = conversation.generation
    turns = conversation.turns
    if not turns:
        _welcome(site, conversation)
    for number, turn in enumerate(turns):
        last = number == len(turns) - 1 and generation is None
        if transcript.draw_turn(turn, number, last=last):
            _try(lambda: conversation.regenerate(site.backend, sidebar.settings()))
            st.rerun()
    if generation is not None:
        with st.bottom:
            st.button(
                "Stop",
                key="stop_reply",
                on_click=conversation.stop,
                shortcut="Escape",
                icon=":material/stop_circle:",
            )
    notice = st.session_state.pop("notice", None)
    if notice:
        with st.bottom:
            st.error(notice)
    if "draft" in st.session_state:
        st.session_state.message = st.session_state.pop("draft")
    st.chat_input("Hello!", key="message", on_submit=_send, args=(site, conversation))
    if generation is not None:
        transcript.watch(conversation, generation)
        st.rerun()


def _send(site: Site, conversation: Conversation) -> None:
    text = st.session_state.message
    _ask(site, conversation, text)
    if "notice" in st.session_state:
        st.session_state.draft = text


def _ask(site: Site, conversation: Conversation, text: str) -> None:
    asked = _try(lambda: conversation.ask(site.backend, text, sidebar.settings()))
    if asked:
        st.query_params["chat"] = conversation.id


def _try(action: Callable[[], object]) -> bool:
    """Do it; if the visitor got something wrong, say so on the page and lose nothing."""
    try:
        action()
    except GlasschatError as error:
        st.session_state.notice = str(error)[:1].upper() + str(error)[1:] + "."
        return False
    return True


def _welcome(site: Site, conversation: Conversation) -> None:
    st.markdown("What would you like to know?")
    with st.container(key="examples", gap="small"):
        for number, text in enumerate(EXAMPLES):
            st.button(
                text,
                key=f"example_{number}",
                on_click=_ask,
                args=(site, conversation, text),
            )


main()
