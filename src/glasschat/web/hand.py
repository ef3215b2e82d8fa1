"""What a visitor does in a conversation: callbacks of the page's widgets."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from glasschat.chat import Conversation
from glasschat.web.chats import new_chat
from glasschat.web.language import _
from glasschat.web.notices import attempt, forget, offer_undo, told, withdraw_undo
from glasschat.web.settings import settings
from glasschat.web.site import Site


class Hand:
    """One visitor's hand. What it does shows on the page's next run."""

    def __init__(self, site: Site, owner: str) -> None:
        self._site = site
        self._owner = owner
        self._backend = site.backend

    def now(self) -> Conversation:
        """The conversation that the visitor is in.

        A click can come before the page has been drawn for the one that was opened last: what
        answers it was drawn for another.
        """
        wanted = st.session_state.get("chat")
        found = self._site.library.find(self._owner, wanted) if wanted else None
        if found is None:
            found = self._site.library.new(self._owner)
            st.session_state.chat = found.id
        return found

    def press(self, name: str) -> None:
        """Do what a shortcut stands for."""
        path = self.now().tree.path
        replies = [node for node in path if node.role == "assistant"]
        questions = [node for node in path if node.role == "user"]
        if name == "new":
            new_chat()
        elif name == "help":
            st.session_state.help_wanted = True
        elif name == "again" and replies:
            self.again(replies[-1].id)
        elif name == "edit" and questions:
            self.edit(questions[-1].id)
        elif name in ("previous", "next") and replies:
            siblings = [node.id for node in self.now().tree.siblings(replies[-1].id)]
            at = siblings.index(replies[-1].id) + (1 if name == "next" else -1)
            if 0 <= at < len(siblings):
                self.select(siblings[at])

    def send(self, key: str) -> None:
        """Send what was typed; given back with the reason if it cannot be."""
        text = st.session_state[key]
        forget()
        self.ask(text)
        if told() is not None:
            if text == st.session_state.get("given_back"):
                # An input that is told the same text twice takes no notice: a new one does.
                st.session_state.inputs = st.session_state.get("inputs", 0) + 1
            st.session_state.draft = st.session_state.given_back = text

    def ask(self, text: str) -> None:
        """Ask something."""
        conversation = self.now()
        self._begin(lambda: conversation.ask(self._backend, text, settings()))

    def send_edited(self, node_id: str, key: str) -> None:
        """Ask in other words."""
        text, conversation = st.session_state[key], self.now()
        if self._begin(lambda: conversation.edit(self._backend, node_id, text, settings())):
            end_editing()

    def again(self, node_id: str) -> None:
        """Answer anew."""
        conversation = self.now()
        self._begin(lambda: conversation.regenerate(self._backend, node_id, settings()))

    def go_on(self, node_id: str) -> None:
        """Continue a reply that was cut."""
        conversation = self.now()
        self._begin(lambda: conversation.go_on(self._backend, node_id, settings()))

    def _begin(self, start: Callable[[], object]) -> bool:
        if not attempt(start):
            return False
        withdraw_undo()
        st.query_params["chat"] = st.session_state.chat
        return True

    def select(self, node_id: str) -> None:
        """Show another version."""
        attempt(partial(self.now().select, node_id))

    def edit(self, node_id: str) -> None:
        """Begin to edit a question."""
        st.session_state.editing = node_id

    def delete(self, node_id: str) -> None:
        """Ask whether a branch may go."""
        st.session_state.deleting = node_id

    def deleted(self, node_id: str) -> None:
        """Say that it is gone, with undo."""
        offer_undo(_("Deleted."), partial(self.now().restore_branch, node_id))


def end_editing() -> None:
    """Leave the question as it was."""
    st.session_state.pop("editing", None)
