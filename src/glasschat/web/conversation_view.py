"""View of one conversation: its turns, the glass box, the input, and the line below it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import streamlit as st

from glasschat.backends import Description, Readiness
from glasschat.chat import ContextUse, Conversation, Node
from glasschat.errors import GlasschatError
from glasschat.prompt import ContextPolicy
from glasschat.web.actions import Actions, end_editing
from glasschat.web.dialogs import ask_to_delete_branch
from glasschat.web.figures import draw_meter
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.panel import draw_box
from glasschat.web.glass.start_options import starts_paused
from glasschat.web.language import N_, _, ngettext
from glasschat.web.notices import clear_notice, draw_undo, pending_notice
from glasschat.web.session import consume
from glasschat.web.settings import policy, settings
from glasschat.web.site import Site
from glasschat.web.transcript import (
    draw_question,
    draw_reply,
    draw_reply_of_other_server,
    watch_reply,
)

RECENT, MORE = 30, 60
EXAMPLES = (
    N_("Why is the sky blue?"),
    N_("Write a haiku about the sea."),
    N_("Explain recursion with a short Python example."),
)

# Streamlit scrolls to the end of a chat by itself when its input has not been placed: it then looks
# sixty times a second, for as long as the page is open, and every look makes the browser work out
# the page's style anew. Here the input is placed, and this script scrolls when something happens.
_SCROLL_SCRIPT = Path(__file__).with_name("static") / "end.js"
_mount_scroller = st.components.v2.component(
    "glasschat_end", html="<span></span>", js=_SCROLL_SCRIPT.read_text(encoding="utf-8")
)


class ConversationView:
    """Draws a conversation; the visitor's clicks call `actions`."""

    def __init__(
        self, site: Site, actions: Actions, conversation: Conversation, description: Description
    ) -> None:
        self._site = site
        self._actions = actions
        self._backend = site.backend
        self._conversation = conversation
        self._description = description
        self._ready = description.readiness is Readiness.READY
        self._growing: str | None = None

    # --- drawing --------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw the turns, the input and the line below; `watch` then draws the reply in flight."""
        conversation = self._conversation
        tree = conversation.tree
        path = tree.path
        if deleting := consume("deleting"):
            ask_to_delete_branch(
                conversation, deleting, partial(self._actions.offer_undelete, deleting)
            )
        last = path[-1] if path else None
        scroll_to_end(last.id if last else "")
        if not path and self._ready:
            self._draw_welcome()
        growing = last is not None and last.in_progress
        self._growing = last.id if last is not None and growing else None
        idle = self._ready and not growing
        # To count a long conversation for the first time takes a moment: where nothing is left
        # out it is drawn before.
        leaves_out = self._ready and policy() is ContextPolicy.LEAVE_OUT_OLDEST
        use = self._context_use() if leaves_out else ContextUse(0, frozenset())
        for node in self._recent_turns(path, use.left_out):
            if node.role == "assistant" and node.in_progress:
                continue
            # Its key says to the page's style that the model does not read it.
            unread = "unread" if node.id in use.left_out else "read"
            with st.container(key=f"{unread}_{node.id}"):
                if node.role == "user" and st.session_state.get("editing") == node.id:
                    self._draw_editor(node)
                elif node.role == "user":
                    draw_question(tree, node, self._actions, idle=idle)
                else:
                    draw_reply(tree, node, self._actions, idle=idle, last=node is last)
        self._draw_glass()
        if self._ready:
            self._draw_input()
        self._draw_foot(use if leaves_out else self._context_use())

    def watch(self) -> bool:
        """Show the reply that was in flight when the turns were drawn; return whether one was."""
        if self._growing is None:
            return False
        # It may have ended meanwhile: then the next run draws it.
        node = self._conversation.tree[self._growing]
        generation = self._conversation.running.get(node.id)
        with st.container(key=f"read_{node.id}"):
            if generation is not None:
                watch_reply(self._conversation, node, generation)
            elif node.in_progress:
                draw_reply_of_other_server(node)
        return True

    def _draw_glass(self) -> None:
        """Draw the glass box, if it is open on a reply of this conversation."""
        tree, turn = self._conversation.tree, st.session_state.get("glass")
        if turn and turn in tree and tree.visible(turn):
            subject = Subject(self._conversation.owner, self._conversation.id, turn)
            draw_box(
                self._site,
                subject,
                tree[turn],
                idle=self._ready and self._growing is None,
                on_act=self._actions.act_in_glass,
            )

    def _context_use(self) -> ContextUse:
        """Return how much of the context is used; nothing is known while there is no model."""
        nothing = ContextUse(0, frozenset())
        if not self._ready:
            return nothing
        try:
            return self._conversation.context_use(self._backend, settings())
        except GlasschatError:
            # Whatever is wrong is said when something is asked.
            return nothing

    def _recent_turns(self, path: tuple[Node, ...], left_out: frozenset[str]) -> Iterator[Node]:
        """Yield the last turns, behind a button for earlier ones; draw where the context begins."""
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
        line_drawn = not left_out
        for node in path[earlier:]:
            if not line_drawn and node.id not in left_out:
                count = len(left_out)
                with st.container(key="left_out_line"):
                    st.caption(
                        ngettext(
                            "The context is full: the model does not read the turn above.",
                            "The context is full: the model does not read the {n:,} turns above.",
                            count,
                        )
                    )
                line_drawn = True
            yield node

    def _draw_welcome(self) -> None:
        st.markdown(_("What would you like to know?"))
        with st.container(key="examples", gap="small"):
            for number, text in enumerate(EXAMPLES):
                st.button(
                    _(text), key=f"example_{number}", on_click=self._actions.ask, args=(_(text),)
                )

    def _draw_editor(self, node: Node) -> None:
        """Draw the editor in the place of a question."""
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
                    on_click=self._actions.send_edited,
                    args=(node.id, key),
                )
                st.button(_("Cancel"), key="edit_cancel", on_click=end_editing)

    def _draw_input(self) -> None:
        """Draw the input; above it the notice and the offer to undo. A refused text is put back."""
        with st.bottom:
            draw_undo()
            place = st.empty()
        if (notice := pending_notice()) is not None:
            place.error(notice)
        key = f"message_{st.session_state.get('inputs', 0)}"
        if (draft := st.session_state.get("draft")) is not None:
            st.session_state[key] = draft
        with st.bottom:
            st.chat_input(_("Hello!"), key=key, on_submit=self._actions.send, args=(key,))
        # Not before they are on their way to the page: a click may end this run anywhere.
        clear_notice()
        consume("draft")

    def _draw_foot(self, use: ContextUse) -> None:
        """Draw the line below the input, always of one height: the context meter, and Stop."""
        conversation = self._conversation
        with st.bottom, st.container(key="foot", horizontal=True, vertical_alignment="center"):
            draw_meter(use.used, self._description.context, estimated=use.estimated)
            if starts_paused():
                st.caption(_("Replies start paused"))
            generation = conversation.last_reply
            if generation is not None and self._growing is not None:
                st.button(
                    ":material/search_insights:",
                    key="glass_growing",
                    help=_("Glass box"),
                    on_click=self._actions.toggle_glass,
                    args=(self._growing,),
                    type="tertiary",
                )
            if generation is not None:
                st.button(
                    _("Stop"),
                    key="stop_reply",
                    on_click=conversation.stop,
                    shortcut="Escape",
                    icon=":material/stop_circle:",
                    type="tertiary",
                )


def _show_earlier() -> None:
    st.session_state.turns_shown = st.session_state.get("turns_shown", 0) + 1


def scroll_to_end(end: str) -> None:
    """Scroll the page to its end once `end`, a name for the last turn, has changed."""
    with st.container(key="end_place"):
        _mount_scroller(key="end", data={"end": end})
