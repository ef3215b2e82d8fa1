"""The event stream of a growing reply: what is new of it, and when it ends."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from glasschat.chat import Settings
from glasschat.sampling import SamplingParams
from glasschat.web.blocks import BlockSplitter
from glasschat.web.site import Site, set_site
from glasschat.web.streaming import BlockDeltas, closing, routes, stream_url

TEXTS = st.lists(st.sampled_from(["word " * 300, "\n\n", "- a\n", "```\nx\n```\n", "b", "\n"]))


@given(texts=TEXTS)
def test_what_was_sent_is_the_text(texts: list[str]) -> None:
    """However the text grows, the pieces of each block are that block in the end."""
    changes = BlockDeltas(0, BlockSplitter())
    whole, blocks = "", {}
    for text in texts:
        whole += text
        for block, grown in changes.push(whole):
            blocks[block] = blocks.get(block, "") + grown
    splitter = BlockSplitter()
    tail = splitter.push(whole).lstrip("\n")
    wanted = [*splitter.finished, tail]
    assert [blocks.get(number, "").strip("\n") for number in range(len(wanted))] == [
        text.strip("\n") for text in wanted
    ]


def test_a_stream_that_begins_late_leaves_out_what_is_drawn() -> None:
    first, second = "word " * 400, "more"
    changes = BlockDeltas(1, BlockSplitter())
    assert changes.push(f"{first}\n\n{second}") == [(1, second)]


@pytest.fixture
def client(site: Site) -> TestClient:
    set_site(site)
    return TestClient(Starlette(routes=routes))


def events(text: str) -> list[tuple[str, object]]:
    found = []
    for event in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.split("\n"))
        found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def test_a_reply_is_told_from_its_beginning_to_its_end(site: Site, client: TestClient) -> None:
    conversation = site.library.new("me")
    reply = conversation.ask(site.backend, "slowly: one two", Settings(SamplingParams()))
    answer = client.get(f"/{stream_url(reply.id, 0)}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    told = events(answer.text)
    assert told[0][0] == "start" and told[-1][0] == "end"
    pieces = [data for kind, data in told if kind == "message"]
    assert "".join(text for _block, text in pieces) == "one two"  # type: ignore[misc]
    assert len(pieces) > 1, "as it grew"


def test_what_is_no_reply_on_its_way_is_not_asked_for_again(client: TestClient) -> None:
    assert client.get("/glass/replies/unknown?from=0").status_code == 204


@pytest.mark.parametrize("first", ["-1", "x", "1e3", "1234567", "٣"])
def test_a_block_that_is_no_number_is_refused(site: Site, client: TestClient, first: str) -> None:
    conversation = site.library.new("me")
    reply = conversation.ask(site.backend, "slowly: one two", Settings(SamplingParams()))
    assert client.get(f"/glass/replies/{reply.id}?from={first}").status_code == 400
    reply.cancel()


def test_a_server_that_ends_ends_its_streams(site: Site, client: TestClient) -> None:
    conversation = site.library.new("me")
    reply = conversation.ask(site.backend, "slowly: " + "x" * 400, Settings(SamplingParams()))
    threading.Timer(1.0, closing.set).start()
    try:
        told = events(client.get(f"/{stream_url(reply.id, 0)}").text)
    finally:
        closing.clear()
    assert told[-1][0] == "message", "cut off, not ended"
    reply.cancel()
