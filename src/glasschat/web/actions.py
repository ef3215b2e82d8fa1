"""Event handlers of the page: what a visitor does in a conversation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from glasschat.backends import Backend
from glasschat.chat import Conversation, Settings
from glasschat.engine import StartOptions
from glasschat.web.chats import new_chat
from glasschat.web.glass.params_patch import apply_patch
from glasschat.web.glass.start_options import (
    next_start_options,
    parse_start_options,
    save_start_options,
)
from glasschat.web.language import _
from glasschat.web.notices import attempt, clear_notice, offer_undo, pending_notice, withdraw_undo
from glasschat.web.session import consume
from glasschat.web.settings import settings
from glasschat.web.site import Site


class Actions:
    """Callbacks of one visitor's widgets. What they do shows on the page's next run."""

    def __init__(self, site: Site, owner: str) -> None:
        self._site = site
        self._owner = owner
        self._backend = site.backend

    def current_conversation(self) -> Conversation:
        """Return the conversation that the visitor is in.

        A click can come before the page has been drawn for the conversation that was opened last:
        the widget that it hits was drawn for another one.
        """
        wanted = st.session_state.get("chat")
        found = self._site.library.find(self._owner, wanted) if wanted else None
        if found is None:
            found = self._site.library.new(self._owner)
            st.session_state.chat = found.id
        return found

    def press_shortcut(self, name: str) -> None:
        """Run the action of a shortcut, by its name."""
        path = self.current_conversation().tree.path
        replies = [node for node in path if node.role == "assistant"]
        questions = [node for node in path if node.role == "user"]
        if name == "new":
            new_chat()
        elif name == "help":
            st.session_state.help_wanted = True
        elif name == "glass" and replies:
            self.toggle_glass(replies[-1].id)
        elif name == "again" and replies:
            self.again(replies[-1].id)
        elif name == "edit" and questions:
            self.edit(questions[-1].id)
        elif name in ("previous", "next") and replies:
            siblings = [
                node.id for node in self.current_conversation().tree.siblings(replies[-1].id)
            ]
            at = siblings.index(replies[-1].id) + (1 if name == "next" else -1)
            if 0 <= at < len(siblings):
                self.select(siblings[at])

    def send(self, key: str) -> None:
        """Send what was typed; what is refused is put back into the input, with the reason."""
        text = st.session_state[key]
        clear_notice()
        self.ask(text)
        if pending_notice() is not None:
            if text == st.session_state.get("given_back"):
                # An input that is told the same text twice takes no notice: a new one does.
                st.session_state.inputs = st.session_state.get("inputs", 0) + 1
            st.session_state.draft = st.session_state.given_back = text

    def ask(self, text: str) -> None:
        """Send a question to the chosen model."""
        conversation = self.current_conversation()
        self._begin(
            lambda: conversation.ask(
                self._backend, text, settings(), start_options=next_start_options()
            )
        )

    def send_edited(self, node_id: str, key: str) -> None:
        """Send the edited text of a question as a sibling of it."""
        text, conversation = st.session_state[key], self.current_conversation()
        began = self._begin(
            lambda: conversation.edit(
                self._backend, node_id, text, settings(), start_options=next_start_options()
            )
        )
        if began:
            end_editing()

    def again(self, node_id: str, start_options: StartOptions | None = None) -> None:
        """Regenerate a reply: the new one is a sibling of it."""
        conversation, begins = self.current_conversation(), start_options or next_start_options()
        self._begin(
            lambda: conversation.regenerate(
                self._backend, node_id, settings(), start_options=begins
            )
        )

    def go_on(self, node_id: str) -> None:
        """Continue a reply that was cut off."""
        conversation = self.current_conversation()
        self._begin(
            lambda: conversation.go_on(
                self._writer(node_id), node_id, settings(), start_options=next_start_options()
            )
        )

    def _begin(self, start: Callable[[], object]) -> bool:
        if not attempt(start):
            return False
        withdraw_undo()
        st.query_params["chat"] = st.session_state.chat
        if st.session_state.get("glass") is not None:
            # Who looks into one reply looks into the next.
            last = self.current_conversation().tree.last
            st.session_state.glass = last.id if last else ""
        return True

    def select(self, node_id: str) -> None:
        """Switch to the branch of that turn."""
        attempt(partial(self.current_conversation().select, node_id))

    def toggle_glass(self, node_id: str) -> None:
        """Open the glass box on a reply; close it where it is open on that reply."""
        if st.session_state.get("glass") == node_id:
            close_glass()
        else:
            st.session_state.glass = node_id

    def act_in_glass(self, asked: Mapping[str, Any]) -> None:
        """Run the action that was clicked in the glass box."""
        turn = st.session_state.get("glass")
        match asked.get("action"):
            case "close":
                close_glass()
            case "begin":
                attempt(lambda: save_start_options(asked))
            case "again" if turn:
                attempt(lambda: self.again(turn, parse_start_options({**asked, "paused": True})))
            case "compare" if turn:
                self.compare(turn, asked.get("settings", ()))
            case "select":
                self.select(str(asked.get("turn", "")))
            case "branch" if turn:
                self.branch(turn, int(asked["place"]), asked.get("token"), asked.get("changes"))

    def branch(
        self,
        node_id: str,
        place: int,
        token_id: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a sibling of a reply, equal up to `place`, with that token there if one is given.

        It continues with the settings of the sidebar, or with those of the reply and `changes`.
        """
        conversation = self.current_conversation()

        def start() -> None:
            chosen = settings()
            if changes is not None:
                own = conversation.tree[node_id].runs[-1].params
                chosen = replace(chosen, params=apply_patch(own, changes))
            conversation.branch(
                self._writer(node_id),
                node_id,
                place,
                chosen,
                token_id=token_id,
                start_options=next_start_options(),
            )

        self._begin(start)

    def _writer(self, node_id: str) -> Backend:
        """Return the backend that wrote the reply and knows its tokens; else the chosen one."""
        return self._site.with_writer(self.current_conversation().tree[node_id]).backend

    def compare(self, node_id: str, asked: Sequence[Mapping[str, Any]]) -> None:
        """Begin several replies to the question of that reply, each with other settings.

        Each may name a `model`, which is one of the site's backends; else the chosen one writes.
        """
        conversation = self.current_conversation()

        def backend_and_settings(asked_one: Mapping[str, Any]) -> tuple[Backend, Settings]:
            values = dict(asked_one)
            name = values.pop("model", None)
            backend = self._backend if name is None else self._site.with_chosen(str(name)).backend
            chosen = settings()
            return backend, replace(chosen, params=apply_patch(chosen.params, values))

        def start() -> None:
            node = conversation.tree[node_id]
            begun = conversation.compare(
                node.parent or "", [backend_and_settings(one) for one in asked]
            )
            st.session_state.compared = [turn for turn, _generation in begun]

        self._begin(start)

    def edit(self, node_id: str) -> None:
        """Open the editor of a question."""
        st.session_state.editing = node_id

    def delete(self, node_id: str) -> None:
        """Open the dialog that deletes a turn and what is below it."""
        st.session_state.deleting = node_id

    def offer_undelete(self, node_id: str) -> None:
        """Show that a branch was deleted, with an offer to undo that."""
        offer_undo(_("Deleted."), partial(self.current_conversation().restore_branch, node_id))


def close_glass() -> None:
    """Close the glass box and show the chat alone."""
    consume("glass")


def end_editing() -> None:
    """Close the editor without a change."""
    consume("editing")
