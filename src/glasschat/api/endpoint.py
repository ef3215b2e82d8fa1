"""A request for replies from its first byte to its last: parse, admit, start, send, clean up."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any, Generic, TypeVar

from anyio import to_thread
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from glasschat.api.admission import AdmissionControl
from glasschat.api.chat import ChatRequest
from glasschat.api.completions import CompletionRequest
from glasschat.api.errors import ApiError, to_api_error
from glasschat.api.fields import params_of, seed_of
from glasschat.api.format import ReplyFormat, ResponseInfo, TokenDetails
from glasschat.api.parse import read_body
from glasschat.api.replies import Piece, Replies
from glasschat.api.request_log import RequestLogEntry
from glasschat.api.responses import ResponseModel
from glasschat.api.sse import EventStream, send_json
from glasschat.backends import Description
from glasschat.errors import PromptError

Body = TypeVar("Body", bound=ChatRequest | CompletionRequest)


class ReplyEndpoint(Generic[Body]):
    """ASGI handler for POST requests whose body is a `model`, answered in a `reply_format`."""

    def __init__(
        self,
        admission: AdmissionControl,
        model: type[Body],
        reply_format: Callable[[Body], ReplyFormat],
    ) -> None:
        self._admission = admission
        self._backend = admission.backend
        self._model = model
        self._reply_format = reply_format

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ApiError or GlasschatError before anything was sent.

        The replies are cancelled when the client disconnects.
        """
        body = await read_body(Request(scope, receive), self._model)
        body.check()
        served = self._admission.state.require_model(body.model)
        reply_format = self._reply_format(body)
        entry: RequestLogEntry = scope["state"]["log_entry"]
        entry.set_body(body)
        count = reply_format.prompt_count * (body.n or 1)
        key = scope["state"]["key"]
        with self._admission.admit(key, count, self._backend.max_replies) as replies:
            entry.set_replies(replies)
            work = self._answer(body, reply_format, served, replies, entry.request_id, send)
            await _run_while_connected(receive, work)

    async def _answer(
        self,
        body: Body,
        reply_format: ReplyFormat,
        served: Description,
        replies: Replies,
        request_id: str,
        send: Send,
    ) -> None:
        deadline = self._start_deadline(body.timeout, replies)
        try:
            await self._start(body, reply_format, served, replies)
            info = ResponseInfo(
                id=f"{reply_format.id_prefix}-{replies.choices[0].generation.id}",
                created=int(time.time()),
                model=served.name,
                system_fingerprint=_system_fingerprint(served),
            )
            details = TokenDetails(
                body.shown_candidates, bool(body.glass), self._backend.vocabulary.token_bytes
            )
            if body.stream:
                stream = EventStream(send, request_id)
                await stream.run(_events(body, reply_format, info, details, replies))
            else:
                choices = await replies.collect()
                response = reply_format.response(info, [*choices], details, replies.usage())
                await send_json(send, response)
        finally:
            if deadline is not None:
                deadline.cancel()

    async def _start(
        self, body: Body, reply_format: ReplyFormat, served: Description, replies: Replies
    ) -> None:
        """Queue every choice, or none of them."""
        params = params_of(body, body.limit, served.context, served.stage_classes)
        trace = body.shown_candidates is not None or bool(body.glass)

        def start() -> None:
            # In a thread: encoding a long prompt would hold up the event loop.
            for prompt in range(reply_format.prompt_count):
                for _ in range(body.n or 1):
                    seed = seed_of(params, len(replies.choices))
                    choice_params = replace(params, seed=seed)
                    generation = reply_format.start(
                        self._backend, prompt, choice_params, trace=trace
                    )
                    replies.add(prompt, generation)

        try:
            await to_thread.run_sync(start)
        except PromptError as error:
            response = to_api_error(error)
            response.param = reply_format.prompt_field
            raise response from None

    def _start_deadline(
        self, requested_s: float | None, replies: Replies
    ) -> asyncio.TimerHandle | None:
        limits = [s for s in (requested_s, self._admission.options.timeout_s) if s is not None]
        if not limits:
            return None
        error = ApiError(
            504,
            f"the reply was not complete within the {min(limits):g} s that it had: "
            "raise timeout, or ask for fewer tokens",
            "timeout",
            code="timeout",
            # OpenAI's clients would retry, and wait as long again.
            headers=(("x-should-retry", "false"),),
        )
        return asyncio.get_running_loop().call_later(min(limits), replies.abort, error)


async def _events(
    body: ChatRequest | CompletionRequest,
    reply_format: ReplyFormat,
    info: ResponseInfo,
    details: TokenDetails,
    replies: Replies,
) -> AsyncIterator[ResponseModel]:
    """Yield the events of a stream as the replies grow. Raises ApiError."""
    options = body.stream_options
    with_usage = options is not None and bool(options.include_usage)
    usage_per_event = with_usage and options is not None and bool(options.continuous_usage_stats)
    for choice in replies.choices:
        if (event := reply_format.first_event(info, choice)) is not None:
            yield event
    held: dict[int, Piece] = {}
    async for choice, new in replies.pieces():
        piece = _join_pieces(held.pop(choice.index, None), new)
        usage = replies.usage() if usage_per_event else None
        if piece.text or (piece.finish_reason and piece.steps and details.requested):
            without_end = replace(piece, finish_reason=None)
            yield reply_format.event(info, choice, without_end, details, usage)
        elif not piece.finish_reason:
            # Part of a character, or what may become a stop string: it goes with the next text.
            held[choice.index] = piece
        if piece.finish_reason:
            end = Piece("", (), piece.finish_reason)
            yield reply_format.event(info, choice, end, details, usage)
    if with_usage:
        yield reply_format.usage_event(info, replies.usage())


def _join_pieces(held: Piece | None, new: Piece) -> Piece:
    return new if held is None else replace(new, steps=held.steps + new.steps)


async def _run_while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, and cancel it when the client disconnects. Raises what `work` raises."""
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        disconnect.cancel()
        task.cancel()
        await asyncio.gather(task, disconnect, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _system_fingerprint(served: Description) -> str:
    """Return OpenAI's system_fingerprint, here of the weights.

    Replies to the same seed are comparable while it is the same.
    """
    return f"fp_{served.provenance.model_fingerprint.rpartition(':')[2][:16] or 'unknown'}"
