"""The replies to one request: new text as it comes, for the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from glasschat.api.errors import SERVER, ApiError, invalid_request, unavailable
from glasschat.api.responses import PromptDetails, Usage, WireFinishReason
from glasschat.engine import FinishReason, Generation, Snapshot, Step
from glasschat.sampling import DEFAULT_ORDER
from glasschat.sampling.trace import STAGE_REMEDY


@dataclass(frozen=True, slots=True)
class Piece:
    """New text and tokens of a choice. `finish_reason` is set in the last piece only."""

    text: str
    steps: tuple[Step, ...]
    finish_reason: WireFinishReason | None = None


class Choice:
    """One of the replies to a request, read piece by piece.

    `index` is its number in the response, `prompt` the number of the prompt that it answers.
    """

    def __init__(self, index: int, prompt: int, generation: Generation) -> None:
        self.index = index
        self.prompt = prompt
        self.generation = generation
        self.ended = False
        self.failure: ApiError | None = None
        self._steps_taken = 0
        self._characters_taken = 0

    def take(self) -> Piece | None:
        """Return what is new since the last call, None if nothing is.

        A reply that failed or was cancelled by the server returns its last text, and sets
        `failure`.
        """
        # Read before the steps: no more come after the end.
        ended = self.generation.finished
        steps = self.generation.steps(self._steps_taken)
        self._steps_taken += len(steps)
        text = "".join(step.text for step in steps)
        if not ended:
            self._characters_taken += len(text)
            return Piece(text, steps) if steps else None
        self.ended = True
        snapshot = self.generation.snapshot()
        text = snapshot.text[self._characters_taken :]
        if snapshot.finish_reason is FinishReason.STOP:
            return Piece(text, steps, "stop")
        if snapshot.finish_reason is FinishReason.LENGTH:
            return Piece(text, steps, "length")
        self.failure = _failure(snapshot)
        return Piece(text, steps)


def _failure(snapshot: Snapshot) -> ApiError:
    if snapshot.finish_reason is FinishReason.CANCELLED:
        return unavailable(
            "the reply was cut off because the server is ending: ask again in a moment"
        )
    message = snapshot.error or "the reply failed"
    if message.endswith(STAGE_REMEDY):
        # Settings that leave nothing to choose from: the same request would fail again.
        stage = next((name for name in DEFAULT_ORDER if f" {name} " in message), None)
        return invalid_request(message, stage, "no_token_left")
    return ApiError(500, message, SERVER, code="reply_failed")


class Replies:
    """All choices of one request. As a context manager it cancels those that still run on exit."""

    def __init__(self) -> None:
        self.choices: list[Choice] = []
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._wake_pending = False
        self._abort_error: ApiError | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        self._closed = False

    def __enter__(self) -> "Replies":
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def add(self, prompt: int, generation: Generation) -> None:
        """Add a choice. May be called from any thread."""
        self.choices.append(Choice(len(self.choices), prompt, generation))
        if self._closed:
            # The client left while this choice was being queued.
            generation.cancel()

    def abort(self, error: ApiError) -> None:
        """Cancel all choices, and raise `error` in whoever reads the pieces."""
        self._abort_error = self._abort_error or error
        self.cancel()
        self._changed.set()

    def cancel(self) -> None:
        """Cancel all choices that still run. The engine ends them at its next step."""
        self._closed = True
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe.clear()
        for choice in self.choices:
            if not choice.generation.finished:
                choice.generation.cancel()

    async def pieces(self) -> AsyncIterator[tuple[Choice, Piece]]:
        """Yield new pieces of all choices as they come. Raises ApiError."""
        for choice in self.choices:
            self._unsubscribe.append(choice.generation.on_change(self._wake))
        while True:
            self._wake_pending = False
            for choice in self.choices:
                self._raise_if_aborted()
                if not choice.ended and (piece := choice.take()) is not None:
                    yield choice, piece
                if choice.failure is not None:
                    raise choice.failure
            if all(choice.ended for choice in self.choices):
                return
            await self._changed.wait()
            self._changed.clear()

    async def collect(self) -> Sequence[tuple[Choice, Piece]]:
        """Wait for the end of all choices, and return each with its whole text. Raises ApiError."""
        for choice in self.choices:
            self._unsubscribe.append(
                choice.generation.on_change(_when_finished(choice.generation, self._wake))
            )
        while not all(choice.generation.finished for choice in self.choices):
            self._wake_pending = False
            self._raise_if_aborted()
            if not all(choice.generation.finished for choice in self.choices):
                await self._changed.wait()
                self._changed.clear()
        self._raise_if_aborted()
        pieces = [(choice, piece) for choice in self.choices if (piece := choice.take())]
        for choice in self.choices:
            if choice.failure is not None:
                raise choice.failure
        return pieces

    def usage(self) -> Usage:
        """Return the numbers of tokens so far. A prompt counts once for all its choices."""
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

    def _raise_if_aborted(self) -> None:
        if self._abort_error is not None:
            raise self._abort_error

    def _wake(self) -> None:
        """Wake the event loop, at most once until it has looked. The engine's thread calls this."""
        if not self._wake_pending and not self._loop.is_closed():
            self._wake_pending = True
            self._loop.call_soon_threadsafe(self._changed.set)


def _when_finished(generation: Generation, wake: Callable[[], None]) -> Callable[[], None]:
    """Return a listener that calls `wake` at the end of a reply only.

    Without it a reply of a thousand tokens would wake the event loop a thousand times.
    """

    def check_end() -> None:
        if generation.finished:
            wake()

    return check_end
