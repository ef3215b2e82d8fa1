"""The list of conversations in the sidebar: new, search, open, and a menu for each."""

from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import streamlit as st

from glasschat.chat import Conversation, ConversationInfo, Library
from glasschat.chat.store import Hit
from glasschat.errors import StoreError
from glasschat.web.dialogs import ask_for_export, ask_for_import, ask_for_title
from glasschat.web.error_text import explain
from glasschat.web.language import N_, _
from glasschat.web.markup import plain_label
from glasschat.web.notices import attempt, offer_undo, set_notice, withdraw_undo
from glasschat.web.session import consume
from glasschat.web.settings import restore

FIRST, MORE, FOUND = 12, 30, 30
RENAME, PIN, UNPIN, EXPORT, DELETE = (
    N_("Rename"),
    N_("Pin"),
    N_("Unpin"),
    N_("Export"),
    N_("Delete"),
)


class ChatList:
    """One visitor's list of conversations. `open_id` is the one that the page shows."""

    def __init__(self, library: Library, owner: str, open_id: str | None) -> None:
        self._library = library
        self._owner = owner
        self._open_id = open_id
        self._writing = library.writing(owner)

    def draw(self) -> None:
        """Draw New chat, the search, and the list or what was found."""
        with st.container(key="chats_head", horizontal=True, gap="small"):
            st.button(
                _("New chat"),
                key="new_chat",
                icon=":material/add:",
                on_click=new_chat,
                width="stretch",
            )
            if st.button(":material/upload:", key="import_chats", help=_("Import chats")):
                ask_for_import(self._library, self._owner)
        query = st.text_input(
            _("Search"),
            key="search",
            placeholder=_("Search chats"),
            label_visibility="collapsed",
            icon=":material/search:",
        )
        try:
            with st.container(key="chats", gap=None):
                if query and query.strip():
                    self._draw_results(query)
                else:
                    self._draw_list()
        except StoreError as error:
            st.caption(explain(error))

    def _draw_results(self, query: str) -> None:
        hits = self._library.search(self._owner, query, FOUND)
        if not hits:
            st.caption(_("Nothing found."))
        for hit in hits:
            self._draw_row(hit.conversation, hit)

    def _draw_list(self) -> None:
        limit = FIRST + MORE * st.session_state.get("more_chats", 0)
        page = self._library.page(self._owner, limit)
        drawn = None
        for info in page.items:
            heading = _("Pinned") if info.pinned else age_heading(info.updated)
            if heading != drawn:
                st.caption(heading)
                drawn = heading
            self._draw_row(info)
        if page.more is not None:
            st.button(_("Show more"), key="show_more_chats", type="tertiary", on_click=_show_more)

    def _draw_row(self, info: ConversationInfo, hit: Hit | None = None) -> None:
        title = plain_label(info.title or _("New chat"))
        if info.id in self._writing:
            title = f":primary[●] {title}"
        marker = "here_" if info.id == self._open_id else ""
        with st.container(key=f"{marker}chat_row_{info.id}", horizontal=True, gap=None):
            st.button(
                title,
                key=f"open_{info.id}",
                type="tertiary",
                width="stretch",
                help=plain_label(hit.excerpt) if hit and hit.excerpt else None,
                on_click=self._open,
                args=(info.id, hit.turn_id if hit else None),
            )
            st.menu_button(
                ":material/more_horiz:",
                (RENAME, UNPIN if info.pinned else PIN, EXPORT, DELETE),
                key=f"menu_{info.id}",
                type="tertiary",
                format_func=_,
                on_click=self._on_menu,
                args=(info,),
            )

    def _find(self, conversation_id: str) -> Conversation | None:
        try:
            return self._library.find(self._owner, conversation_id)
        except StoreError as error:
            set_notice(explain(error))
            return None

    def _open(self, conversation_id: str, turn_id: str | None) -> None:
        show_chat(conversation_id)
        if turn_id is not None:
            found = self._find(conversation_id)
            if found is not None:
                attempt(partial(found.select, turn_id))

    def _on_menu(self, info: ConversationInfo) -> None:
        chosen = st.session_state[f"menu_{info.id}"]
        if chosen in (RENAME, EXPORT):
            st.session_state.dialog = (chosen, info.id)
        elif chosen == DELETE:
            delete_chat(self._library, self._owner, info.id, info.title, self._open_id)
        elif chosen is not None:
            found = self._find(info.id)
            if found is not None:
                found.pin(chosen == PIN)

    def draw_dialog(self) -> None:
        """Draw the dialog that a menu asked for, if one did."""
        wanted = consume("dialog")
        if wanted is None:
            return
        what, conversation_id = wanted
        found = self._find(conversation_id)
        if found is not None:
            (ask_for_title if what == RENAME else ask_for_export)(found)


def new_chat() -> None:
    """Begin an empty conversation on the page's next run."""
    consume("chat")
    st.query_params.pop("chat", None)
    # A system prompt belongs to its conversation; how tokens are chosen is the visitor's taste.
    restore(None, "")
    withdraw_undo()


def show_chat(conversation_id: str) -> None:
    """Open that conversation on the page's next run."""
    st.session_state.chat = conversation_id
    st.query_params["chat"] = conversation_id


def delete_chat(
    library: Library, owner: str, conversation_id: str, title: str, open_id: str | None
) -> None:
    """Delete a conversation, and offer to undo that."""
    if not attempt(partial(library.delete, owner, conversation_id)):
        return
    was_open = conversation_id == open_id
    if was_open:
        new_chat()

    def undo() -> None:
        library.restore(owner, conversation_id)
        if was_open:
            show_chat(conversation_id)

    offer_undo(_("“{title}” was deleted.", title=plain_label(title) or _("New chat")), undo)


def age_heading(updated: int) -> str:
    """Return the translated heading for a time in ms since 1970, by the visitor's calendar."""
    zone = _zone()
    today = datetime.now(zone).date()
    day = datetime.fromtimestamp(updated / 1000, zone).date()
    return _(heading_for_day(day, today))


def heading_for_day(day: date, today: date) -> str:
    """Return the heading, as a message of the catalogue, for chats of `day`."""
    if day >= today:
        return N_("Today")
    if day >= today - timedelta(days=1):
        return N_("Yesterday")
    if day >= today - timedelta(days=7):
        return N_("Last week")
    return N_("Older")


def _zone() -> ZoneInfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ValueError, OSError):
        return ZoneInfo("UTC")


def _show_more() -> None:
    st.session_state.more_chats = st.session_state.get("more_chats", 0) + 1
