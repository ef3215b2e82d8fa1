"""A request for replies from its first byte to its last: admitted, watched, always given back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any, Generic, TypeVar

from anyio import to_thread
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from glasschat.api.admission import AdmissionControl
from glasschat.api.chat_request import ChatRequest
from glasschat.api.completion_request import CompletionRequest
from glasschat.api.errors import ApiError, as_api_error
from glasschat.api.fields import params_of, seed_of
from glasschat.api.format import Format, Header, Shown
from glasschat.api.parse import read_body
from glasschat.api.replies import Piece, Replies
from glasschat.api.request_log import RequestLogEntry
from glasschat.api.responses import Answer
from glasschat.api.sse import EventStream, send_json
from glasschat.backends import Description
from glasschat.errors import PromptError

Body = TypeVar("Body", bound=ChatRequest | CompletionRequest)


class ReplyEndpoint(Generic[Body]):
    """An ASGI app for POST requests of one format."""

    def __init__(
        self, desk: AdmissionControl, model: type[Body], reader: Callable[[Body], Format]
    ) -> None:
        self._desk = desk
        self._model = model
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ApiError or GlasschatError before anything was sent."""
        request = Request(scope, receive)
        body = await read_body(request, self._model)
        body.check()
        served = self._desk.ready()
        self._desk.check_model(body.model, served.name)
        wanted = self._reader(body)
        note: RequestLogEntry = scope["state"]["note"]
        note.asked(body)
        count = wanted.prompts * (body.n or 1)
        room = self._desk.backend.max_replies
        with self._desk.admitted(scope["state"]["key"], count, room) as replies:
            note.serves(replies)
            work = self._serve(body, wanted, served, replies, note.request_id, send)
            await _while_there(receive, work)

    async def _serve(
        self,
        body: Body,
        wanted: Format,
        served: Description,
        replies: Replies,
        request_id: str,
        send: Send,
    ) -> None:
        deadline = self._deadline(body.timeout, replies)
        try:
            await self._start(body, wanted, served, replies)
            header = Header(
                id=f"{wanted.id_prefix}-{replies.choices[0].generation.id}",
                created=int(time.time()),
                model=served.name,
                system_fingerprint=_fingerprint(served),
            )
            shown = Shown(
                body.shown_candidates, bool(body.glass), self._desk.backend.vocabulary.token_bytes
            )
            if body.stream:
                stream = EventStream(send, request_id)
                await stream.run(_events(body, wanted, header, shown, replies))
            else:
                choices = await replies.whole()
                await send_json(send, wanted.whole(header, [*choices], shown, replies.usage()))
        finally:
            if deadline is not None:
                deadline.cancel()

    async def _start(
        self, body: Body, wanted: Format, served: Description, replies: Replies
    ) -> None:
        """Queue every choice, or none of them."""
        params = params_of(body, body.limit, served.context, served.stage_classes)
        trace = body.shown_candidates is not None or bool(body.glass)

        def start() -> None:
            # Encoding a long prompt takes time that the event loop has not got.
            for prompt in range(wanted.prompts):
                for _ in range(body.n or 1):
                    own = replace(params, seed=seed_of(params, len(replies.choices)))
                    replies.add(prompt, wanted.start(self._desk.backend, prompt, own, trace=trace))

        try:
            await to_thread.run_sync(start)
        except PromptError as error:
            told = as_api_error(error)
            told.param = wanted.source
            raise told from None

    def _deadline(self, wanted_s: float | None, replies: Replies) -> asyncio.TimerHandle | None:
        limits = [s for s in (wanted_s, self._desk.options.timeout_s) if s is not None]
        if not limits:
            return None
        error = ApiError(
            504,
            f"the reply was not complete within the {min(limits):g} s that it had: "
            "raise timeout, or ask for fewer tokens",
            "timeout",
            code="timeout",
            # OpenAI's clients would ask again, and wait as long again.
            headers=(("x-should-retry", "false"),),
        )
        return asyncio.get_running_loop().call_later(min(limits), replies.give_up, error)


async def _events(
    body: ChatRequest | CompletionRequest,
    wanted: Format,
    header: Header,
    shown: Shown,
    replies: Replies,
) -> AsyncIterator[Answer]:
    """The events of a stream. Raises ApiError."""
    options = body.stream_options
    counted = options is not None and bool(options.include_usage)
    running = counted and options is not None and bool(options.continuous_usage_stats)
    for choice in replies.choices:
        if (opening := wanted.opening(header, choice)) is not None:
            yield opening
    held: dict[int, Piece] = {}
    async for choice, new in replies.pieces():
        piece = _joined(held.pop(choice.index, None), new)
        usage = replies.usage() if running else None
        if piece.text or (piece.ended and piece.steps and shown.of_tokens):
            yield wanted.event(header, choice, replace(piece, ended=None), shown, usage)
        elif not piece.ended:
            # Part of a character, or what may become a stop string: it goes with the next text.
            held[choice.index] = piece
        if piece.ended:
            yield wanted.event(header, choice, Piece("", (), piece.ended), shown, usage)
    if counted:
        yield wanted.usage_event(header, replies.usage())


def _joined(held: Piece | None, new: Piece) -> Piece:
    return new if held is None else replace(new, steps=held.steps + new.steps)


async def _while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work as long as somebody waits for it; whatever it raises."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _fingerprint(served: Description) -> str:
    """Which weights these are: replies to the same seed are comparable while it is the same."""
    return f"fp_{served.provenance.model_fingerprint.rpartition(':')[2][:16] or 'unknown'}"
