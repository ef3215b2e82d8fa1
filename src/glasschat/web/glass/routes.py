"""HTTP routes of the glass box: its own files, and questions about one reply.

They go past Streamlit, which would draw the whole page anew for each; see
docs/decisions/glass-box-page.md.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from glasschat.chat.exchange import TraceFile, pieces_of, trace_lines
from glasschat.errors import GlasschatError, InvalidMessage, StoreError
from glasschat.web.error_text import explain
from glasschat.web.glass import queries
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.comparing import compare, cross_score, siblings
from glasschat.web.glass.debugger import debugger_signal, debugger_state
from glasschat.web.glass.reply import InspectedReply
from glasschat.web.language import COOKIE, _, speaking, translator
from glasschat.web.site import Site, current_site

log = logging.getLogger(__name__)

PATH = "glass"
LONGEST_BODY = 20_000
"""The longest body of a POST request, in bytes."""
STATIC = Path(__file__).with_name("static")
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_FILES = {
    file.name: file.read_bytes() for file in sorted(STATIC.iterdir()) if file.suffix in _TYPES
}
VERSION = sha256(b"".join(_FILES.values())).hexdigest()[:12]
"""Changes with the files, so that a browser keeps each for as long as it is the right one."""

_OBJECT = TypeAdapter(dict[str, Any])

Question = Callable[[InspectedReply, Mapping[str, str]], dict[str, Any]]


def _file(request: Request) -> Response:
    content = _FILES.get(request.path_params["name"])
    if content is None or request.path_params["version"] != VERSION:
        return Response(status_code=404)
    kind = _TYPES[Path(request.path_params["name"]).suffix]
    kept = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=kind, headers=kept)


def _get_endpoint(ask: Question) -> Callable[[Request], Response]:
    """Return an endpoint that asks about the reply of the box whose key is in the address."""

    # Not a coroutine: it may wait for the store, and then only its own visitor waits.
    def endpoint(request: Request) -> Response:
        speaks = translator(request.headers.get("accept-language"), request.cookies.get(COOKIE))
        with speaking(speaks.language):
            site = current_site()
            subject = site.box_keys.find(request.path_params["key"])
            if subject is None:
                return _error(_("This glass box is closed: open it again."), 404)
            return _answer(ask, site, subject, request.query_params)

    return endpoint


def _post_endpoint(ask: Question) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that does what a JSON object in the body asks for."""

    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        answer = _get_endpoint(lambda reply, _: ask(reply, _parse_object(body)))
        return await run_in_threadpool(answer, request)

    return endpoint


def _trace(request: Request) -> Response:
    """Return the trace of a reply as a file; of a continued one that of its newest run."""
    site = current_site()
    subject = site.box_keys.find(request.path_params["key"])
    try:
        reply = InspectedReply(site, subject) if subject is not None else None
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


def _parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises InvalidMessage."""
    try:
        return _OBJECT.validate_json(body)
    except ValidationError:
        raise InvalidMessage("the signal is no JSON object") from None


async def _body(request: Request) -> bytes:
    """Return the body of a request; of one that is too long b"", which is no JSON."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            return b""
    return body


def _answer(ask: Question, site: Site, subject: Subject, query: Mapping[str, str]) -> Response:
    """Return the answer to a question, or the response for its error."""
    try:
        return JSONResponse(
            ask(InspectedReply(site, subject), query), headers={"cache-control": "no-store"}
        )
    except InvalidMessage as error:
        return _error(explain(error), 404)
    except StoreError as error:
        return _error(explain(error), 503)
    except GlasschatError as error:
        return _error(explain(error), 400)
    except Exception:
        log.exception("the glass box could not answer")
        return _error(_("That could not be answered, and the server's log says why."), 500)


def _error(why: str, status: int) -> Response:
    return JSONResponse({"error": why}, status_code=status)


routes = [
    Route(f"/{PATH}/static/{{version}}/{{name}}", _file),
    *(
        Route(f"/{PATH}/box/{{key}}/{name}", _get_endpoint(ask))
        for name, ask in {
            "tokens": queries.tokens,
            "waterfall": queries.waterfall,
            "what-if": queries.what_if,
            "settings": queries.settings,
            "setting-effects": queries.setting_effects,
            "prompt": queries.prompt,
            "siblings": lambda reply, _: siblings(reply),
            "compare": compare,
            "debugger-state": lambda reply, _: debugger_state(reply),
        }.items()
    ),
    Route(f"/{PATH}/box/{{key}}/trace", _trace),
    Route(
        f"/{PATH}/box/{{key}}/debugger-signal", _post_endpoint(debugger_signal), methods=["POST"]
    ),
    Route(f"/{PATH}/box/{{key}}/cross-score", _post_endpoint(cross_score), methods=["POST"]),
]
