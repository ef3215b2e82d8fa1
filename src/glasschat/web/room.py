"""One visitor in one conversation: its turns, the input, and what is done with them."""

from collections.abc import Callable, Iterator
from functools import partial

import streamlit as st

from glasschat.backends import Description, Readiness
from glasschat.chat import ContextUse, Conversation, Node
from glasschat.errors import GlasschatError
from glasschat.web.chats import new_chat
from glasschat.web.dialogs import ask_to_delete_branch
from glasschat.web.end import show_end
from glasschat.web.language import N_, _, ngettext
from glasschat.web.meter import draw_meter
from glasschat.web.notices import attempt, draw_undo, forget, offer_undo, told, withdraw_undo
from glasschat.web.settings import settings
from glasschat.web.site import Site
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
        self, site: Site, owner: str, conversation: Conversation, description: Description
    ) -> None:
        self._site = site
        self._owner = owner
        self._backend = site.backend
        self._conversation = conversation
        self._description = description
        self._ready = description.readiness is Readiness.READY
        self._growing: str | None = None

    # --- drawing --------------------------------------------------------------------------

    def draw(self) -> None:
        """The turns, the input and the foot. `watch` afterwards draws the reply on its way."""
        conversation = self._conversation
        tree = conversation.tree
        path = tree.path
        if deleting := st.session_state.pop("deleting", None):
            ask_to_delete_branch(conversation, deleting, partial(self._deleted, deleting))
        last = path[-1] if path else None
        show_end(last.id if last else "")
        if not path and self._ready:
            self._welcome()
        growing = last is not None and last.growing
        self._growing = last.id if last is not None and growing else None
        actions = Actions(
            again=self._again,
            go_on=self._go_on,
            select=self._select,
            edit=self._edit,
            delete=self._delete,
            idle=self._ready and not growing,
        )
        use = self._context_use()
        for node in self._recent(path, use.left_out):
            if node.role == "assistant" and node.growing:
                continue
            # Its key says to the page's style that the model does not read it.
            unread = "unread" if node.id in use.left_out else "read"
            with st.container(key=f"{unread}_{node.id}"):
                if node.role == "user" and st.session_state.get("editing") == node.id:
                    self._editor(node)
                elif node.role == "user":
                    draw_question(tree, node, actions)
                else:
                    draw_reply(tree, node, actions, last=node is last)
        if self._ready:
            self._input()
        self._foot(use)

    def watch(self) -> bool:
        """Show the reply that was on its way when the turns were drawn; whether there was one."""
        if self._growing is None:
            return False
        # It may have ended meanwhile: then the next run draws it.
        node = self._conversation.tree[self._growing]
        generation = self._conversation.growing.get(node.id)
        with st.container(key=f"read_{node.id}"):
            if generation is not None:
                watch(self._conversation, node, generation)
            elif node.growing:
                draw_elsewhere(node)
        return True

    def _context_use(self) -> ContextUse:
        """What of the conversation the model reads; nothing is known while there is no model."""
        nothing = ContextUse(0, frozenset())
        if not self._ready:
            return nothing
        try:
            return self._conversation.context_use(self._backend, settings())
        except GlasschatError:
            # Whatever is wrong is said when something is asked.
            return nothing

    def _recent(self, path: tuple[Node, ...], left_out: frozenset[str]) -> Iterator[Node]:
        """The end of a long conversation, the rest on demand; where the model begins to read."""
        shown = RECENT + MORE * st.session_state.get("turns_shown", 0)
        earlier = max(0, len(path) - shown)
        if earlier:
            st.button(
                ngettext("{n:,} earlier turn", "{n:,} earlier turns", earlier),
                key="show_earlier",
                type="tertiary",
                icon=":material/history:",
                on_click=_show_earlier,
            )
        told = not left_out
        for node in path[earlier:]:
            if not told and node.id not in left_out:
                count = len(left_out)
                with st.container(key="left_out_line"):
                    st.caption(
                        ngettext(
                            "The context is full: the model does not read the turn above.",
                            "The context is full: the model does not read the {n:,} turns above.",
                            count,
                        )
                    )
                told = True
            yield node

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
        with st.bottom:
            st.chat_input(_("Hello!"), key=key, on_submit=self._send, args=(key,))
        # Not before they are on their way to the page: a click may end this run anywhere.
        forget()
        st.session_state.pop("draft", None)

    def _foot(self, use: ContextUse) -> None:
        """Under the input, always of one height: how full the context is, and Stop."""
        conversation = self._conversation
        with st.bottom, st.container(key="foot", horizontal=True, vertical_alignment="center"):
            draw_meter(use.used, self._description.context)
            generation = conversation.generation
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

    def _now(self) -> Conversation:
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
        path = self._now().tree.path
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
            siblings = [node.id for node in self._now().tree.siblings(replies[-1].id)]
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
        conversation = self._now()
        self._begin(lambda: conversation.ask(self._backend, text, settings()))

    def _send_edited(self, node_id: str, key: str) -> None:
        text, conversation = st.session_state[key], self._now()
        if self._begin(lambda: conversation.edit(self._backend, node_id, text, settings())):
            _end_editing()

    def _again(self, node_id: str) -> None:
        conversation = self._now()
        self._begin(lambda: conversation.regenerate(self._backend, node_id, settings()))

    def _go_on(self, node_id: str) -> None:
        conversation = self._now()
        self._begin(lambda: conversation.go_on(self._backend, node_id, settings()))

    def _begin(self, start: Callable[[], object]) -> bool:
        if not attempt(start):
            return False
        withdraw_undo()
        st.query_params["chat"] = st.session_state.chat
        return True

    def _select(self, node_id: str) -> None:
        attempt(partial(self._now().select, node_id))

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
