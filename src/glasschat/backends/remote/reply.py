"""A reply that a remote server generates: its writing side, and the handle for its watchers."""

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glasschat.backends.remote.sse import Chunk, TokenLogprobs, UsageCounts
from glasschat.engine import FinishReason, Reply, ReplyProgress, Snapshot, State, Timings, Usage
from glasschat.glass import RemoteToken
from glasschat.messages import Message
from glasschat.prompt import ChatMessage

_THINK, _THOUGHT = "<think>\n", "\n</think>\n\n"


@dataclass(frozen=True, slots=True)
class RemotePrompt:
    """The prompt of a reply, as far as it is known on this machine. Implements ReplyPrompt.

    `tokens` is the server's count where it is `counted`, else an estimate.
    """

    tokens: int
    left_out: tuple[int, ...] = ()
    counted: bool = False


class RemoteReplyWriter:
    """Writing side of a reply that a remote server generates: what its stream has brought so far.

    The event loop's thread alone calls the methods. Until the server has counted, the tokens are
    those that it has named, or else pieces of text. Thoughts of the model before its answer stand
    in the text between <think> and </think>, as the models write them.
    """

    def __init__(self, prompt: RemotePrompt, *, seed: int | None, earlier: str) -> None:
        self.progress = ReplyProgress()
        self.prompt = prompt
        self.seed = seed
        self.steps: list[RemoteToken] = []
        self.prefilled = 0
        self.counts = UsageCounts(None, None, None)
        self._thinking = "<think>" in earlier and "</think>" not in earlier
        self._half = ""

    def receive(self, chunk: Chunk) -> None:
        """Publish what a chunk has that is new; chunks after the end are ignored."""
        progress = self.progress
        with progress.changed:
            if progress.finish_reason is not None:
                return
            if chunk.counts is not None:
                self.counts = chunk.counts
            if chunk.read is not None and chunk.to_read:
                self.counts = UsageCounts(chunk.to_read, None, None)
                self.prefilled, progress.state = chunk.read, State.PREFILLING
            text = self._join_surrogates(self._mark_thoughts(chunk))
            if text or chunk.tokens:
                self._append(text, chunk.tokens)
            progress.publish()

    def finish(self, reason: FinishReason, error: Message | None = None) -> None:
        """End the reply; a second call has no effect."""
        progress = self.progress
        with progress.changed:
            if progress.finish_reason is not None:
                return
            # Thoughts that were cut off stay open, so that the reply goes on with them.
            if self._half:
                self._append("\ufffd", ())
            progress.end(reason, error)

    def usage(self) -> Usage:
        """Return the token counts: the server's, or those known here until it has counted."""
        counts = self.counts
        return Usage(
            self.prompt.tokens if counts.prompt is None else counts.prompt,
            counts.cached or 0,
            len(self.steps) if counts.completion is None else counts.completion,
        )

    def _append(self, text: str, tokens: Sequence[TokenLogprobs]) -> None:
        """Append a piece of text and its tokens; `progress.changed` is held."""
        progress = self.progress
        if progress.clock.admitted_at is None:
            progress.clock.mark_admitted()
        if progress.clock.mark_token():
            self.prefilled = self.usage().prompt_tokens
        progress.state = State.RUNNING
        self.steps += split_into_steps(text, tokens)
        progress.add_text(text)

    def _mark_thoughts(self, chunk: Chunk) -> str:
        """Return the chunk's text, thoughts in front of the answer and marked as the models do."""
        text = ""
        if chunk.thought:
            text += chunk.thought if self._thinking else _THINK + chunk.thought
            self._thinking = True
        if chunk.text:
            text += _THOUGHT + chunk.text if self._thinking else chunk.text
            self._thinking = False
        return text

    def _join_surrogates(self, text: str) -> str:
        """Return the text with surrogate pairs joined that JSON split over two events.

        A surrogate that stays alone becomes U+FFFD; one at the end waits for the next event.
        """
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        if text.isascii():
            return text
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class RemoteReply(Reply):
    """A reply that a remote server generates, for its watchers.

    It has no token ids: the text goes back to the server. `hang_up` ends the stream; any thread may
    call it.
    """

    def __init__(
        self,
        prompt: RemotePrompt,
        hang_up: Callable[[], object],
        *,
        seed: int | None = None,
        earlier: str = "",
    ) -> None:
        """`earlier` is the text of a continued reply so far."""
        self.writer = RemoteReplyWriter(prompt, seed=seed, earlier=earlier)
        super().__init__(self.writer.progress)
        self._hang_up = hang_up

    @property
    def prompt(self) -> RemotePrompt:
        """Return the prompt that the reply answers."""
        return self.writer.prompt

    @property
    def counts(self) -> UsageCounts:
        """Return the server's own token counts."""
        return self.writer.counts

    def snapshot(self) -> Snapshot:
        """Return the state of the reply at this moment."""
        writer, progress = self.writer, self._progress
        with progress.changed:
            usage = writer.usage()
            timings = progress.clock.timings(0, usage.completion_tokens)
            return Snapshot(
                version=progress.version,
                state=progress.state,
                queue_position=0,
                prefilled=writer.prefilled,
                usage=usage,
                text=progress.text,
                finish_reason=progress.finish_reason,
                error=progress.error,
                # The time of the prefill cannot be told apart from the time in the queue.
                timings=Timings(timings.ttft_s, None, timings.decode_tps),
                seed=writer.seed,
            )

    def steps(self, start: int = 0) -> tuple[RemoteToken, ...]:
        """Return the tokens from number `start` on, as far as the server tells them apart."""
        with self._progress.changed:
            return tuple(self.writer.steps[start:])

    def message(self) -> ChatMessage:
        """Return the reply as a turn, without ids; of a continued one, the new part."""
        with self._progress.changed:
            return ChatMessage("assistant", self._progress.text)

    def cancel(self) -> None:
        """Close the connection; what has been written stays."""
        self._hang_up()


def split_into_steps(text: str, tokens: Sequence[TokenLogprobs]) -> list[RemoteToken]:
    """Split a piece of text into its tokens; joined they are the text again.

    Where the tokens' bytes do not make up the text, the last of them releases all of it.
    """
    if not tokens:
        return [RemoteToken(text)]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [decoder.decode(token.chosen.data or b"") for token in tokens]
    if "".join(pieces) != text:
        pieces = [*[""] * (len(tokens) - 1), text]
    return [
        RemoteToken(piece, token.chosen, token.top)
        for piece, token in zip(pieces, tokens, strict=True)
    ]
