"""One visitor in one conversation: its turns, the input, and what is done with them."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from glasschat.backends import Backend, Description, Readiness
from glasschat.chat import Conversation, Node
from glasschat.web.chats import new_chat
from glasschat.web.dialogs import ask_to_delete_branch
from glasschat.web.language import N_, _, ngettext
from glasschat.web.meter import draw_meter
from glasschat.web.notices import attempt, draw_undo, forget, offer_undo, told, withdraw_undo
from glasschat.web.settings import settings
from glasschat.web.transcript import (
    Actions,
    draw_elsewhere,
    draw_question,
    draw_reply,
    watch,
)

RECENT, MORE = 30, 60
EXAMPLES = (
    N_("Why is the sky blue?"),
    N_("Write a haiku about the sea."),
    N_("Explain recursion with a short Python example."),
)


class Room:
    """Draws the conversation and does what the visitor asks of it."""

    def __init__(
        self, backend: Backend, conversation: Conversation, description: Description
    ) -> None:
        self._backend = backend
        self._conversation = conversation
        self._description = description
        self._ready = description.readiness is Readiness.READY

    # --- drawing --------------------------------------------------------------------------

    def draw(self) -> None:
        """The turns, the input and the foot. `watch` afterwards draws the reply on its way."""
        conversation = self._conversation
        tree = conversation.tree
        path = tree.path
        if deleting := st.session_state.pop("deleting", None):
            ask_to_delete_branch(conversation, deleting, partial(self._deleted, deleting))
        if not path and self._ready:
            self._welcome()
        last = path[-1] if path else None
        growing = last is not None and last.growing
        actions = Actions(
            again=self._again,
            go_on=self._go_on,
            select=self._select,
            edit=self._edit,
            delete=self._delete,
            idle=self._ready and not growing,
        )
        for node in self._recent(path):
            if node.role == "user" and st.session_state.get("editing") == node.id:
                self._editor(node)
            elif node.role == "user":
                draw_question(tree, node, actions)
            elif not node.growing:
                draw_reply(tree, node, actions, last=node is last)
        if self._ready:
            self._input()
        self._foot()

    def watch(self) -> bool:
        """Show the reply on its way until it ends; whether there was one."""
        last = self._conversation.tree.last
        if last is None or not last.growing:
            return False
        generation = self._conversation.growing.get(last.id)
        if generation is not None:
            watch(self._conversation, last, generation)
        elif self._conversation.tree[last.id].growing:
            draw_elsewhere(last)
        return True

    def _recent(self, path: tuple[Node, ...]) -> tuple[Node, ...]:
        """The end of a long conversation; the rest on demand."""
        shown = RECENT + MORE * st.session_state.get("turns_shown", 0)
        earlier = len(path) - shown
        if earlier <= 0:
            return path
        st.button(
            ngettext("{n:,} earlier turn", "{n:,} earlier turns", earlier),
            key="show_earlier",
            type="tertiary",
            icon=":material/history:",
            on_click=_show_earlier,
        )
        return path[earlier:]

    def _welcome(self) -> None:
        st.markdown(_("What would you like to know?"))
        with st.container(key="examples", gap="small"):
            for number, text in enumerate(EXAMPLES):
                st.button(_(text), key=f"example_{number}", on_click=self._ask, args=(_(text),))

    def _editor(self, node: Node) -> None:
        """A user turn while it is being asked in other words."""
        key = f"edited_{node.id}"
        with st.container(key="editor"):
            st.text_area(
                _("Edit"), value=node.text, key=key, label_visibility="collapsed", height="content"
            )
            with st.container(horizontal=True, key="editor_buttons"):
                st.button(
                    _("Send"),
                    key="edit_send",
                    type="primary",
                    on_click=self._send_edited,
                    args=(node.id, key),
                )
                st.button(_("Cancel"), key="edit_cancel", on_click=_end_editing)

    def _input(self) -> None:
        """Where messages are typed; above it what was wrong with the last, which is given back."""
        with st.bottom:
            draw_undo()
            place = st.empty()
        if (notice := told()) is not None:
            place.error(notice)
        key = f"message_{st.session_state.get('inputs', 0)}"
        if "draft" in st.session_state:
            st.session_state[key] = st.session_state.draft
        st.chat_input(_("Hello!"), key=key, on_submit=self._send, args=(key,))
        # Not before they are on their way to the page: a click may end this run anywhere.
        forget()
        st.session_state.pop("draft", None)

    def _foot(self) -> None:
        """Under the input, always of one height: how full the context is, and Stop."""
        conversation = self._conversation
        last = conversation.tree.last
        with st.bottom, st.container(key="foot", horizontal=True, vertical_alignment="center"):
            generation = conversation.generation
            usage = None
            if generation is not None:
                usage = generation.snapshot().usage
            elif last is not None and last.runs:
                usage = last.runs[-1].usage
            used = usage.prompt_tokens + usage.completion_tokens if usage else 0
            draw_meter(used, self._description.context)
            if generation is not None:
                st.button(
                    _("Stop"),
                    key="stop_reply",
                    on_click=conversation.stop,
                    shortcut="Escape",
                    icon=":material/stop_circle:",
                    type="tertiary",
                )

    # --- doing ----------------------------------------------------------------------------

    def press(self, name: str) -> None:
        """Do what a shortcut stands for."""
        path = self._conversation.tree.path
        replies = [node for node in path if node.role == "assistant"]
        questions = [node for node in path if node.role == "user"]
        if name == "new":
            new_chat()
        elif name == "help":
            st.session_state.help_wanted = True
        elif name == "again" and replies:
            self._again(replies[-1].id)
        elif name == "edit" and questions:
            self._edit(questions[-1].id)
        elif name in ("previous", "next") and replies:
            siblings = [node.id for node in self._conversation.tree.siblings(replies[-1].id)]
            at = siblings.index(replies[-1].id) + (1 if name == "next" else -1)
            if 0 <= at < len(siblings):
                self._select(siblings[at])

    def _send(self, key: str) -> None:
        text = st.session_state[key]
        forget()
        self._ask(text)
        if told() is not None:
            if text == st.session_state.get("given_back"):
                # An input that is told the same text twice takes no notice: a new one does.
                st.session_state.inputs = st.session_state.get("inputs", 0) + 1
            st.session_state.draft = st.session_state.given_back = text

    def _ask(self, text: str) -> None:
        conversation = self._conversation
        self._begin(lambda: conversation.ask(self._backend, text, settings()))

    def _send_edited(self, node_id: str, key: str) -> None:
        text, conversation = st.session_state[key], self._conversation
        if self._begin(lambda: conversation.edit(self._backend, node_id, text, settings())):
            _end_editing()

    def _again(self, node_id: str) -> None:
        conversation = self._conversation
        self._begin(lambda: conversation.regenerate(self._backend, node_id, settings()))

    def _go_on(self, node_id: str) -> None:
        conversation = self._conversation
        self._begin(lambda: conversation.go_on(self._backend, node_id, settings()))

    def _begin(self, start: Callable[[], object]) -> bool:
        if not attempt(start):
            return False
        withdraw_undo()
        st.query_params["chat"] = self._conversation.id
        return True

    def _select(self, node_id: str) -> None:
        attempt(partial(self._conversation.select, node_id))

    def _edit(self, node_id: str) -> None:
        st.session_state.editing = node_id

    def _delete(self, node_id: str) -> None:
        st.session_state.deleting = node_id

    def _deleted(self, node_id: str) -> None:
        offer_undo(_("Deleted."), partial(self._conversation.restore_branch, node_id))


def _end_editing() -> None:
    st.session_state.pop("editing", None)


def _show_earlier() -> None:
    st.session_state.turns_shown = st.session_state.get("turns_shown", 0) + 1
