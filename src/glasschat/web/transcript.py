"""The turns of the open path, and the reply that is being written."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from glasschat.chat import Conversation, Ending, Node, Tree
from glasschat.engine import Reply, State
from glasschat.web.actions import Actions
from glasschat.web.blocks import BlockSplitter
from glasschat.web.error_text import explain
from glasschat.web.figures import figures, progress
from glasschat.web.language import _
from glasschat.web.live import live_text
from glasschat.web.markup import literal_lines, to_markdown
from glasschat.web.toolbar import Tools, toolbar

LOOK_S = 0.25
ELSEWHERE_S = 1.0
ASKED, ANSWERED = ":material/person:", ":material/diamond:"


def draw_question(tree: Tree, node: Node, hand: Actions, *, idle: bool) -> None:
    """A user turn; while it is `idle` another reply may be started."""
    with st.chat_message("user", avatar=ASKED):
        with st.container(key=f"asked_{node.id}"):
            st.markdown(literal_lines(node.text), anchors=False)
        with _tools(node):
            offered = [("edit", _("Edit"))] if idle else []
            _toolbar(tree, node, Tools(node.text, actions=(*offered, _delete())), hand)


def draw_reply(tree: Tree, node: Node, hand: Actions, *, idle: bool, last: bool) -> None:
    """A reply that is not being written."""
    run = node.runs[-1] if node.runs else None
    with st.chat_message("assistant", avatar=ANSWERED):
        with _said(node), _body(node):
            # The same pieces as while it grew, so that nothing moves when it ends.
            pieces = _pieces(node.text)
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
        with _tools(node):
            offered = [("glass", _("Glass box"))] if node.ids or node.runs else []
            if idle:
                cut = [("go_on", _("Go on"))] if node.cut else []
                offered = [("again", _("Again")), *cut, *offered]
            line = figures(node) if run is not None else ""
            tools = Tools(node.text, line, (*offered, _delete()), main="again")
            _toolbar(tree, node, tools, hand)


def watch(conversation: Conversation, node: Node, generation: Reply) -> None:
    """Show a reply as it grows, until it ends.

    Reruns may interrupt this anywhere: the reply goes on in the engine, and the next run of the
    page comes back here. What an earlier run left on the page stays until a run has ended, so
    places for all of it are taken first: else an answer asked for anew would stand on the old one.
    """
    splitter = BlockSplitter()
    splitter.push(node.text + generation.snapshot().text)
    with st.chat_message("assistant", avatar=ANSWERED):
        with _said(node):
            body = _body(node)
            with body:
                for block in splitter.finished:
                    st.markdown(to_markdown(block), anchors=False)
                drawn = len(splitter.finished)
                left = st.session_state.get("pieces", 0) - drawn
                places = [st.empty() for _place in range(max(0, left))]
            live_text(generation.id, f"reply_{node.id}", drawn)
        # Where a finished reply says what went wrong.
        st.empty()
        with _tools(node):
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
        line = progress(snapshot)
        if line != shown:
            status.caption(f":primary[●] {line}")
            shown = line
        # A reply that has begun is looked at less often: its text comes by itself.
        if snapshot.state is State.RUNNING:
            generation.wait_for_end(LOOK_S)
        else:
            generation.wait_for_change(snapshot.version, LOOK_S)


def draw_elsewhere(node: Node) -> None:
    """A reply that another server on the same store is writing; the page has to look again."""
    with st.chat_message("assistant", avatar=ANSWERED):
        with _said(node), _body(node):
            for piece in _pieces(node.text):
                st.markdown(to_markdown(piece), anchors=False)
        st.empty()
        with _tools(node):
            st.caption(":primary[●] " + _("being written by another server"))
    time.sleep(ELSEWHERE_S)


def _pieces(text: str) -> list[str]:
    splitter = BlockSplitter()
    tail = splitter.push(text)
    return [piece for piece in (*splitter.finished, tail) if piece.strip()]


def _delete() -> tuple[str, str]:
    return "delete", _("Delete")


def _toolbar(tree: Tree, node: Node, tools: Tools, hand: Actions) -> None:
    siblings = [sibling.id for sibling in tree.siblings(node.id)]
    at = siblings.index(node.id)

    do = {
        "again": hand.again,
        "go_on": hand.go_on,
        "glass": hand.glass,
        "edit": hand.edit,
        "delete": hand.delete,
    }

    def act(action: str) -> None:
        if action in ("previous", "next"):
            to = at + (1 if action == "next" else -1)
            if 0 <= to < len(siblings):
                hand.select(siblings[to])
            return
        do[action](node.id)

    placed = Tools(tools.text, tools.line, tools.actions, tools.main, at + 1, len(siblings))
    toolbar(placed, key=f"bar_{node.id}", on_act=act)


def _said(node: Node) -> DeltaGenerator:
    return st.container(key=f"said_{node.id}")


def _body(node: Node) -> DeltaGenerator:
    return st.container(key=f"reply_{node.id}", gap="small")


def _tools(node: Node) -> DeltaGenerator:
    return st.container(key=f"tools_{node.id}")
