"""The turns of a conversation, and the one that is being written."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from glasschat.chat import Conversation, Turn
from glasschat.engine import FinishReason, Generation, State
from glasschat.web.blocks import BlockSplitter, SendBudget
from glasschat.web.copying import copy_button
from glasschat.web.figures import figures, progress
from glasschat.web.markup import literal_lines, to_markdown

CURSOR = "▌"
LOOK_S = 0.25
ASKED, ANSWERED = ":material/person:", ":material/diamond:"


def draw_turn(turn: Turn, number: int, *, last: bool) -> bool:
    """One turn; True when its answer was asked for anew."""
    with st.chat_message("user", avatar=ASKED):
        st.markdown(literal_lines(turn.question.text), anchors=False)
    if turn.reply is None or turn.answer is None:
        return False
    with st.chat_message("assistant", avatar=ANSWERED):
        with _body(number):
            # The same pieces as while it grew, so that nothing moves when it ends.
            splitter = BlockSplitter()
            tail = splitter.push(turn.answer.text)
            pieces = [piece for piece in (*splitter.finished, tail) if piece.strip()]
            for piece in pieces:
                st.markdown(to_markdown(piece), anchors=False)
        failure = st.empty()
        if turn.reply.finish_reason is FinishReason.ERROR:
            failure.error(
                f"The reply failed: {turn.reply.error}. Press Again, or send another message."
            )
        with _tools(number):
            st.caption(figures(turn.reply), width="content")
            copy_button(turn.answer.text, key=f"copy_{number}")
            place = st.empty()
            if last:
                st.session_state.pieces = len(pieces)
                return place.button(
                    "Again", key="again", type="tertiary", icon=":material/refresh:"
                )
    return False


def watch(conversation: Conversation, generation: Generation, number: int) -> None:
    """Show a reply as it grows, until it ends.

    Reruns may interrupt this anywhere: the reply goes on in the engine, and the next run of the
    page comes back here. What an earlier run left on the page stays until a run has ended, so
    places for all of it are taken first: else an answer asked for anew would stand on the old one.
    """
    splitter, budget = BlockSplitter(), SendBudget()
    splitter.push(generation.snapshot().text)
    with st.chat_message("assistant", avatar=ANSWERED):
        body = _body(number)
        with body:
            for block in splitter.finished:
                st.markdown(to_markdown(block), anchors=False)
            drawn = len(splitter.finished)
            left = st.session_state.get("pieces", 0) - drawn
            places = [st.empty() for _ in range(max(1, left))]
        st.empty()
        with _tools(number):
            status, _copy, _again = st.empty(), st.empty(), st.empty()
    tail_place, shown = places.pop(0), ""
    while True:
        # Touching the state is where Streamlit may stop this run for another.
        st.session_state.pieces = max(drawn + 1, st.session_state.get("pieces", 0))
        conversation.watched()
        snapshot = generation.snapshot()
        if snapshot.state is State.FINISHED:
            return
        tail = splitter.push(snapshot.text)
        for block in splitter.finished[drawn:]:
            tail_place.markdown(to_markdown(block), anchors=False)
            tail_place = places.pop(0) if places else body.empty()
            drawn += 1
        if tail and budget.due(len(snapshot.text), len(tail), time.monotonic()):
            tail_place.markdown(to_markdown(tail) + CURSOR, anchors=False)
        line = progress(snapshot)
        if line != shown:
            status.caption(f":primary[●] {line}")
            shown = line
        started = time.monotonic()
        generation.wait(snapshot.version, LOOK_S)
        time.sleep(max(0.0, budget.SHORTEST_S - (time.monotonic() - started)))


def _body(number: int) -> DeltaGenerator:
    return st.container(key=f"reply_{number}", gap="small")


def _tools(number: int) -> DeltaGenerator:
    return st.container(
        key=f"tools_{number}", horizontal=True, vertical_alignment="center", gap="small"
    )
