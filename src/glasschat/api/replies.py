"""The replies to one request, watched from the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from glasschat.api.errors import SERVER, ApiError, invalid, loading
from glasschat.api.responses import FinishedBecause, PromptDetails, Usage
from glasschat.engine import FinishReason, Generation, Snapshot, Step
from glasschat.sampling import DEFAULT_ORDER
from glasschat.sampling.trace import STAGE_REMEDY


@dataclass(frozen=True, slots=True)
class Piece:
    """What is new of a choice. `ended` comes with the last one."""

    text: str
    steps: tuple[Step, ...]
    ended: FinishedBecause | None = None


class Choice:
    """One of the replies, read piece by piece. `prompt` is the number of the prompt it is to."""

    def __init__(self, index: int, prompt: int, generation: Generation) -> None:
        self.index = index
        self.prompt = prompt
        self.generation = generation
        self.ended = False
        self.failure: ApiError | None = None
        self._steps = 0
        self._text = 0

    def take(self) -> Piece | None:
        """What is new since the last time; None if nothing.

        Of a reply that went wrong, or was cancelled from elsewhere, it is the last text, and
        `failure` says why no more comes.
        """
        # Asked before the steps: after the end none can come.
        ended = self.generation.finished
        steps = self.generation.steps(self._steps)
        self._steps += len(steps)
        text = "".join(step.text for step in steps)
        if not ended:
            self._text += len(text)
            return Piece(text, steps) if steps else None
        self.ended = True
        snapshot = self.generation.snapshot()
        text = snapshot.text[self._text :]
        if snapshot.finish_reason is FinishReason.STOP:
            return Piece(text, steps, "stop")
        if snapshot.finish_reason is FinishReason.LENGTH:
            return Piece(text, steps, "length")
        self.failure = _failure(snapshot)
        return Piece(text, steps)


def _failure(snapshot: Snapshot) -> ApiError:
    if snapshot.finish_reason is FinishReason.CANCELLED:
        return loading("the reply was cut off because the server is ending: ask again in a moment")
    message = snapshot.error or "the reply failed"
    if message.endswith(STAGE_REMEDY):
        # Settings that leave nothing to choose from: the same request would fail again.
        stage = next((name for name in DEFAULT_ORDER if f" {name} " in message), None)
        return invalid(message, stage, "no_token_left")
    return ApiError(500, message, SERVER, code="reply_failed")


class Replies:
    """All choices of one request. Leave it as a context manager, and none goes on unwatched."""

    def __init__(self) -> None:
        self.choices: list[Choice] = []
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._told = False
        self._given_up: ApiError | None = None
        self._forget: list[Callable[[], None]] = []
        self._closed = False

    def __enter__(self) -> "Replies":
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def add(self, prompt: int, generation: Generation) -> None:
        """One more choice. From any thread."""
        self.choices.append(Choice(len(self.choices), prompt, generation))
        if self._closed:
            # Whoever asked has left while it was being queued.
            generation.cancel()

    def give_up(self, error: ApiError) -> None:
        """End the request with `error`; whoever reads the pieces gets it."""
        self._given_up = self._given_up or error
        self.cancel()
        self._changed.set()

    def cancel(self) -> None:
        """End what is still being generated, at the engine's next step."""
        self._closed = True
        for forget in self._forget:
            forget()
        self._forget.clear()
        for choice in self.choices:
            if not choice.generation.finished:
                choice.generation.cancel()

    async def pieces(self) -> AsyncIterator[tuple[Choice, Piece]]:
        """What comes of all choices, as it comes. Raises ApiError."""
        for choice in self.choices:
            self._forget.append(choice.generation.on_change(self._tell))
        while True:
            self._told = False
            for choice in self.choices:
                self._check()
                if not choice.ended and (piece := choice.take()) is not None:
                    yield choice, piece
                if choice.failure is not None:
                    raise choice.failure
            if all(choice.ended for choice in self.choices):
                return
            await self._changed.wait()
            self._changed.clear()

    async def whole(self) -> Sequence[tuple[Choice, Piece]]:
        """Every choice with all of it. Raises ApiError."""
        for choice in self.choices:
            self._forget.append(choice.generation.on_change(_at_end(choice.generation, self._tell)))
        while not all(choice.generation.finished for choice in self.choices):
            self._told = False
            self._check()
            if not all(choice.generation.finished for choice in self.choices):
                await self._changed.wait()
                self._changed.clear()
        self._check()
        pieces = [(choice, piece) for choice in self.choices if (piece := choice.take())]
        for choice in self.choices:
            if choice.failure is not None:
                raise choice.failure
        return pieces

    def usage(self) -> Usage:
        """Tokens so far. A prompt counts once, however many choices it has."""
        first = {choice.prompt: choice for choice in reversed(self.choices)}
        used = [choice.generation.snapshot().usage for choice in self.choices]
        prompts = [choice.generation.snapshot().usage for choice in first.values()]
        prompt_tokens = sum(usage.prompt_tokens for usage in prompts)
        completion_tokens = sum(usage.completion_tokens for usage in used)
        return Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            total_tokens=prompt_tokens + completion_tokens,
            prompt_tokens_details=PromptDetails(
                cached_tokens=sum(usage.cached_tokens for usage in prompts)
            ),
        )

    def _check(self) -> None:
        if self._given_up is not None:
            raise self._given_up

    def _tell(self) -> None:
        """Wake the loop, once until it has looked; the engine's thread calls."""
        if not self._told and not self._loop.is_closed():
            self._told = True
            self._loop.call_soon_threadsafe(self._changed.set)


def _at_end(generation: Generation, tell: Callable[[], None]) -> Callable[[], None]:
    """For who wants the end only: a reply of a thousand tokens wakes them once."""

    def told() -> None:
        if generation.finished:
            tell()

    return told
