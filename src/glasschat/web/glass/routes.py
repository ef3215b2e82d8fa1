"""Where the glass box's page asks: its own files, and questions about one reply.

They go past Streamlit, which would draw the whole page anew for each; see
docs/decisions/glass-box-page.md.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from glasschat.chat.exchange import TraceFile, pieces_of, trace_lines
from glasschat.errors import GlasschatError, InvalidMessage, StoreError
from glasschat.web.error_text import explained
from glasschat.web.glass import queries
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.comparing import read_each_other, siblings, side_by_side
from glasschat.web.glass.debugger import standing, steer
from glasschat.web.glass.reply import ReplyUnderGlass
from glasschat.web.language import COOKIE, _, speaking, translator
from glasschat.web.site import Site, current_site

log = logging.getLogger(__name__)

PATH = "glass"
LONGEST_SIGNAL = 20_000
"""Bytes."""
STATIC = Path(__file__).with_name("static")
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_FILES = {
    file.name: file.read_bytes() for file in sorted(STATIC.iterdir()) if file.suffix in _TYPES
}
VERSION = sha256(b"".join(_FILES.values())).hexdigest()[:12]
"""Changes with the files, so that a browser keeps each for as long as it is the right one."""

Question = Callable[[ReplyUnderGlass, Mapping[str, str]], dict[str, Any]]


def _file(request: Request) -> Response:
    content = _FILES.get(request.path_params["name"])
    if content is None or request.path_params["version"] != VERSION:
        return Response(status_code=404)
    kind = _TYPES[Path(request.path_params["name"]).suffix]
    kept = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=kind, headers=kept)


def _answering(ask: Question) -> Callable[[Request], Response]:
    """An endpoint that puts a question to the reply whose box has the key in the address."""

    # Not a coroutine: it may wait for the store, and then only its own visitor waits.
    def endpoint(request: Request) -> Response:
        speaks = translator(request.headers.get("accept-language"), request.cookies.get(COOKIE))
        with speaking(speaks.language):
            site = current_site()
            subject = site.boxes.find(request.path_params["key"])
            if subject is None:
                return _refused(_("This glass box is closed: open it again."), 404)
            return _answered(ask, site, subject, request.query_params)

    return endpoint


def _told(tell: Question) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that has something done for the reply, which a JSON object says."""

    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        answer = _answering(lambda reply, _: tell(reply, _signal(body)))
        return await run_in_threadpool(answer, request)

    return endpoint


def _trace(request: Request) -> Response:
    """The record of a reply as a file; of one that was continued that of its newest run."""
    site = current_site()
    subject = site.boxes.find(request.path_params["key"])
    try:
        reply = ReplyUnderGlass(site, subject) if subject is not None else None
    except GlasschatError as error:
        return PlainTextResponse(f"{error}\n", 404)
    if reply is None or reply.last_trace is None:
        return Response(status_code=404)
    trace, run = reply.last_trace, reply.node.runs[-1]
    token_bytes = reply.names.token_bytes
    pieces = pieces_of(trace, token_bytes) if token_bytes is not None else {}
    return StreamingResponse(
        trace_lines(TraceFile(trace, run.origin, pieces)),
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="reply.jsonl"'},
    )


def _signal(body: bytes) -> dict[str, Any]:
    """What a body says. Raises InvalidMessage."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidMessage("the signal is no JSON object")
    return found


async def _body(request: Request) -> bytes:
    """The request's body; of one that is too long what is no JSON any more."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_SIGNAL:
            return b""
    return body


def _answered(ask: Question, site: Site, subject: Subject, asked: Mapping[str, str]) -> Response:
    try:
        return JSONResponse(
            ask(ReplyUnderGlass(site, subject), asked), headers={"cache-control": "no-store"}
        )
    except InvalidMessage as error:
        return _refused(explained(error), 404)
    except StoreError as error:
        return _refused(explained(error), 503)
    except GlasschatError as error:
        return _refused(explained(error), 400)
    except Exception:
        log.exception("the glass box could not answer")
        return _refused(_("That could not be answered, and the server's log says why."), 500)


def _refused(why: str, status: int) -> Response:
    return JSONResponse({"error": why}, status_code=status)


routes = [
    Route(f"/{PATH}/static/{{version}}/{{name}}", _file),
    *(
        Route(f"/{PATH}/box/{{key}}/{name}", _answering(ask))
        for name, ask in {
            "tokens": queries.tokens,
            "waterfall": queries.waterfall,
            "what-if": queries.what_if,
            "settings": queries.settings,
            "knobs": queries.ablate,
            "prompt": queries.prompt,
            "siblings": lambda reply, _: siblings(reply),
            "compare": side_by_side,
            "standing": lambda reply, _: standing(reply),
        }.items()
    ),
    Route(f"/{PATH}/box/{{key}}/trace", _trace),
    Route(f"/{PATH}/box/{{key}}/steer", _told(steer), methods=["POST"]),
    Route(f"/{PATH}/box/{{key}}/read", _told(read_each_other), methods=["POST"]),
]
