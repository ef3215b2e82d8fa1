"""Event stream of a growing reply: its new text, straight into the page.

Streamlit would have the browser go through the whole page for every piece of text, which takes
the processor from a model that runs beside it; see docs/decisions/live-text.md.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from glasschat.chat import PartialReply
from glasschat.web.blocks import BlockSplitter
from glasschat.web.site import current_site

POLL_S = 0.25
PATH = "glass/replies"

closing = threading.Event()
"""Set when the server is about to end: an open stream would delay that."""


def stream_url(generation_id: str, first_block: int) -> str:
    """Return the URL of a reply's text from that block on, relative to the page."""
    return f"{PATH}/{generation_id}?from={first_block}"


@dataclass(slots=True)
class BlockDeltas:
    """Differences of a growing text, block by block, from block `first` on."""

    first: int
    _splitter: BlockSplitter
    _sent: int = 0

    def push(self, text: str) -> list[tuple[int, str]]:
        """Return pairs of a block's number and its new text; `text` is the whole text so far."""
        tail = self._splitter.push(text)
        blocks = [*self._splitter.finished, tail.lstrip("\n")]
        new = []
        while self.first < len(blocks):
            added = blocks[self.first][self._sent :]
            if added:
                new.append((self.first, added))
            if self.first == len(blocks) - 1:
                self._sent = max(self._sent, len(blocks[-1]))
                break
            self.first, self._sent = self.first + 1, 0
        return new


async def _events(request: Request, reply: PartialReply, first: int) -> AsyncIterator[str]:
    changes = BlockDeltas(first, BlockSplitter())
    yield "event: start\ndata: {}\n\n"
    while not (closing.is_set() or await request.is_disconnected()):
        # Whether it has ended is asked before its text is: no text can come after that.
        ended = reply.generation.finished
        for block, text in changes.push(reply.text):
            yield f"data: {json.dumps([block, text])}\n\n"
        if ended:
            yield "event: end\ndata: {}\n\n"
            return
        await asyncio.sleep(POLL_S)


async def _stream(request: Request) -> Response:
    reply = current_site().library.reply(request.path_params["generation_id"])
    if reply is None:
        # It may have ended just now. This answer keeps the browser from asking again.
        return Response(status_code=204)
    first = request.query_params.get("from", "0")
    if not (first.isascii() and first.isdecimal() and len(first) < 7):
        return PlainTextResponse("from is the number of a block", 400)
    return StreamingResponse(
        _events(request, reply, int(first)),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


routes = [Route(f"/{PATH}/{{generation_id}}", _stream)]
