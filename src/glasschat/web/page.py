"""The chat page: run anew by Streamlit for every click of a visitor."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from glasschat.backends import Description, Readiness
from glasschat.chat import Conversation
from glasschat.errors import GlasschatError
from glasschat.web import sidebar, transcript
from glasschat.web.figures import sentence
from glasschat.web.site import Site, current_site
from glasschat.web.style import STYLE

log = logging.getLogger(__name__)

ICON = Path(__file__).with_name("static") / "icon.svg"
EXAMPLES = (
    "Why is the sky blue?",
    "Write a haiku about the sea.",
    "Explain recursion with a short Python example.",
)


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title="glasschat", page_icon=str(ICON))
    try:
        _draw(current_site())
    except Exception:
        log.exception("the page could not be drawn")
        st.error(
            "Something went wrong while this page was drawn, and the server's log says what. "
            "Reload the page: the chat is still there."
        )


def _draw(site: Site) -> None:
    description = site.backend.describe()
    st.set_page_config(page_title=f"{description.name} · glasschat")
    st.html(f"<style>{STYLE}</style>")
    conversation = _conversation(site)
    _header(description)
    if description.readiness is Readiness.LOADING:
        _wait_for_model(site)
    if description.readiness is Readiness.READY:
        sidebar.draw(description, conversation)
        _chat(site, conversation, description)
        return
    for number, turn in enumerate(conversation.turns):
        transcript.draw_turn(turn, number, last=False)
    st.error(
        f"{sentence(f'the model cannot be used: {description.error}')} "
        "Once that is mended, start glasschat again."
    )


def _conversation(site: Site) -> Conversation:
    """The conversation that the address names, or this visitor's own new one."""
    wanted = st.query_params.get("chat") or st.session_state.get("chat")
    found = site.conversations.find(wanted) if wanted else None
    if found is None:
        found = site.conversations.add()
        if wanted:
            st.query_params.pop("chat", None)
            st.session_state.notice = (
                "That chat is no longer kept here, so this is a new one: ask away."
            )
    elif st.session_state.get("chat") != found.id:
        sidebar.restore(found.settings)
    st.session_state.chat = found.id
    found.watched()
    return found


def _header(description: Description) -> None:
    word = {
        Readiness.LOADING: ":orange[●] loading",
        Readiness.READY: ":green[●] ready",
        Readiness.FAILED: ":red[●] failed",
    }[description.readiness]
    parts = [description.detail] if description.detail else []
    if description.context:
        parts.append(f"{description.context:,} tokens of context")
    st.title(description.name, anchor=False)
    st.caption(" · ".join([*parts, word]))


def _wait_for_model(site: Site) -> None:
    place = st.empty()
    while (description := site.backend.describe()).readiness is Readiness.LOADING:
        _ = st.session_state.get("chat")
        place.progress(description.progress, f"Loading the model, {description.progress:.0%}")
        time.sleep(0.2)
    st.rerun()


def _chat(site: Site, conversation: Conversation, description: Description) -> None:
    generation = conversation.generation
    turns = conversation.turns
    if not turns:
        _welcome(site, conversation)
    for number, turn in enumerate(turns):
        last = number == len(turns) - 1 and generation is None
        if transcript.draw_turn(turn, number, last=last):
            _try(lambda: conversation.regenerate(site.backend, sidebar.settings()))
            st.rerun()
    _input(site, conversation)
    _foot(conversation, description.context)
    if generation is not None:
        transcript.watch(conversation, generation, len(turns) - 1)
        st.rerun()


def _input(site: Site, conversation: Conversation) -> None:
    """Where messages are typed; above it what was wrong with the last, which is given back."""
    with st.bottom:
        place = st.empty()
    if "notice" in st.session_state:
        place.error(st.session_state.notice)
    key = f"message_{st.session_state.get('inputs', 0)}"
    if "draft" in st.session_state:
        st.session_state[key] = st.session_state.draft
    st.chat_input("Hello!", key=key, on_submit=_send, args=(site, conversation, key))
    # Not before they are on their way to the page: a click may end this run anywhere.
    for name in ("notice", "draft"):
        st.session_state.pop(name, None)


def _foot(conversation: Conversation, context: int) -> None:
    """Under the input, always of one height: how full the context is, and Stop."""
    generation, turns = conversation.generation, conversation.turns
    with st.bottom, st.container(key="foot", horizontal=True, vertical_alignment="center"):
        reply = generation.snapshot() if generation else turns[-1].reply if turns else None
        used = reply.usage.prompt_tokens + reply.usage.completion_tokens if reply else 0
        st.caption(f"{used:,} of {context:,} tokens", width="stretch")
        if generation is not None:
            st.button(
                "Stop",
                key="stop_reply",
                on_click=conversation.stop,
                shortcut="Escape",
                icon=":material/stop_circle:",
                type="tertiary",
            )


def _send(site: Site, conversation: Conversation, key: str) -> None:
    text = st.session_state[key]
    st.session_state.pop("notice", None)
    _ask(site, conversation, text)
    if "notice" in st.session_state:
        if text == st.session_state.get("given_back"):
            # An input that is told the same text twice in a row takes no notice: a new one does.
            st.session_state.inputs = st.session_state.get("inputs", 0) + 1
        st.session_state.draft = st.session_state.given_back = text


def _ask(site: Site, conversation: Conversation, text: str) -> None:
    asked = _try(lambda: conversation.ask(site.backend, text, sidebar.settings()))
    if asked:
        st.query_params["chat"] = conversation.id


def _try(action: Callable[[], object]) -> bool:
    """Do it; if the visitor got something wrong, say so on the page and lose nothing."""
    try:
        action()
    except GlasschatError as error:
        st.session_state.notice = sentence(str(error))
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
