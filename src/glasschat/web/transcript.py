"""Draws the turns of the open path, and the reply that is being written."""

import time
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from glasschat.chat import Conversation, Ending, Node, Tree
from glasschat.engine import Reply, State
from glasschat.web.actions import Actions
from glasschat.web.blocks import BlockSplitter
from glasschat.web.error_text import explain
from glasschat.web.figures import describe_progress, format_figures
from glasschat.web.language import _
from glasschat.web.markup import literal_lines, to_markdown
from glasschat.web.streaming import stream_url
from glasschat.web.toolbar import ToolbarContents, draw_toolbar

POLL_S = 0.25
OTHER_SERVER_POLL_S = 1.0
ASKED, ANSWERED = ":material/person:", ":material/diamond:"
_STATIC = Path(__file__).with_name("static")
# In the page's own style, so that a block looks the same before and after it is finished.
_mount_live_text = st.components.v2.component(
    "glasschat_live",
    html='<div class="live" aria-live="off"></div>',
    css=(_STATIC / "live.css").read_text(encoding="utf-8"),
    js=(_STATIC / "live.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def draw_question(tree: Tree, node: Node, actions: Actions, *, idle: bool) -> None:
    """Draw a user turn; while the conversation is `idle` it may be edited."""
    with st.chat_message("user", avatar=ASKED):
        with st.container(key=f"asked_{node.id}"):
            st.markdown(literal_lines(node.text), anchors=False)
        with _toolbar_place(node):
            offered = [("edit", _("Edit"))] if idle else []
            _toolbar(
                tree,
                node,
                ToolbarContents(node.text, actions=(*offered, _delete_action())),
                actions,
            )


def draw_reply(tree: Tree, node: Node, actions: Actions, *, idle: bool, last: bool) -> None:
    """Draw a reply that has ended; while the conversation is `idle` it may be regenerated."""
    run = node.runs[-1] if node.runs else None
    with st.chat_message("assistant", avatar=ANSWERED):
        with _reply_place(node), _body(node):
            # The same pieces as while it grew, so that nothing moves when it ends.
            pieces = _blocks(node.text)
            for piece in pieces:
                st.markdown(to_markdown(piece), anchors=False)
        if last:
            st.session_state.pieces = len(pieces)
        failure = st.empty()
        if run is not None and run.ending is Ending.ERROR:
            what = _("The reply failed: {error}.", error=explain(run.error or "").rstrip(".。"))
            failure.error(what + " " + _("Press Again, or send another message."))
        elif run is not None and run.ending is Ending.INTERRUPTED and last:
            failure.info(_("The server ended while this was written. Go on takes it up there."))
        with _toolbar_place(node):
            offered = [("glass", _("Glass box"))] if node.ids or node.runs else []
            if idle:
                cut = [("go_on", _("Go on"))] if node.cut else []
                offered = [("again", _("Again")), *cut, *offered]
            line = format_figures(node) if run is not None else ""
            tools = ToolbarContents(node.text, line, (*offered, _delete_action()), main="again")
            _toolbar(tree, node, tools, actions)


def watch_reply(conversation: Conversation, node: Node, generation: Reply) -> None:
    """Draw a reply as it grows, until it ends.

    Reruns may interrupt this anywhere: the reply goes on in the engine, and the next run of the
    page comes back here. What an earlier run left on the page stays until a run has ended, so
    places for all of it are taken first: else an answer asked for anew would stand on the old one.
    """
    splitter = BlockSplitter()
    splitter.push(node.text + generation.snapshot().text)
    with st.chat_message("assistant", avatar=ANSWERED):
        with _reply_place(node):
            body = _body(node)
            with body:
                for block in splitter.finished:
                    st.markdown(to_markdown(block), anchors=False)
                drawn = len(splitter.finished)
                left = st.session_state.get("pieces", 0) - drawn
                places = [st.empty() for _place in range(max(0, left))]
            _mount_tail(generation.id, f"reply_{node.id}", drawn)
        # Where a finished reply says what went wrong.
        st.empty()
        with _toolbar_place(node):
            status = st.empty()
    shown = ""
    while True:
        # Touching the state is where Streamlit may stop this run for another.
        st.session_state.pieces = max(drawn + 1, st.session_state.get("pieces", 0))
        conversation.live.mark_watched()
        snapshot = generation.snapshot()
        if snapshot.state is State.FINISHED:
            return
        splitter.push(node.text + snapshot.text)
        for block in splitter.finished[drawn:]:
            place = places.pop(0) if places else body.empty()
            place.markdown(to_markdown(block), anchors=False)
            drawn += 1
        line = describe_progress(snapshot)
        if line != shown:
            status.caption(f":primary[●] {line}")
            shown = line
        # A reply that has begun is looked at less often: its text comes by itself.
        if snapshot.state is State.RUNNING:
            generation.wait_for_end(POLL_S)
        else:
            generation.wait_for_change(snapshot.version, POLL_S)


def _mount_tail(generation_id: str, body_key: str, first_block: int) -> None:
    """Show the text of a reply behind the blocks in the container `body_key`, without reruns.

    Blocks from `first_block` on are fetched as a stream; one that comes to stand in the container
    is taken away here at the same moment.
    """
    data = {"address": stream_url(generation_id, first_block), "body": f".st-key-{body_key}"}
    _mount_live_text(key=f"live_{generation_id}", data=data)


def draw_reply_of_other_server(node: Node) -> None:
    """Draw a reply that another server on the same store writes, and wait before the next look."""
    with st.chat_message("assistant", avatar=ANSWERED):
        with _reply_place(node), _body(node):
            for piece in _blocks(node.text):
                st.markdown(to_markdown(piece), anchors=False)
        st.empty()
        with _toolbar_place(node):
            st.caption(":primary[●] " + _("being written by another server"))
    time.sleep(OTHER_SERVER_POLL_S)


def _blocks(text: str) -> list[str]:
    splitter = BlockSplitter()
    tail = splitter.push(text)
    return [piece for piece in (*splitter.finished, tail) if piece.strip()]


def _delete_action() -> tuple[str, str]:
    return "delete", _("Delete")


def _toolbar(tree: Tree, node: Node, tools: ToolbarContents, actions: Actions) -> None:
    siblings = [sibling.id for sibling in tree.siblings(node.id)]
    at = siblings.index(node.id)

    handlers = {
        "again": actions.again,
        "go_on": actions.go_on,
        "glass": actions.toggle_glass,
        "edit": actions.edit,
        "delete": actions.delete,
    }

    def act(action: str) -> None:
        if action in ("previous", "next"):
            to = at + (1 if action == "next" else -1)
            if 0 <= to < len(siblings):
                actions.select(siblings[to])
            return
        handlers[action](node.id)

    placed = ToolbarContents(
        tools.text, tools.line, tools.actions, tools.main, at + 1, len(siblings)
    )
    draw_toolbar(placed, key=f"bar_{node.id}", on_act=act)


def _reply_place(node: Node) -> DeltaGenerator:
    return st.container(key=f"said_{node.id}")


def _body(node: Node) -> DeltaGenerator:
    return st.container(key=f"reply_{node.id}", gap="small")


def _toolbar_place(node: Node) -> DeltaGenerator:
    return st.container(key=f"tools_{node.id}")
