"""The handle on a reply that a server elsewhere writes."""

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glasschat.backends.remote.sse import Chunk, Counted, ToldToken
from glasschat.engine import FinishReason, Reply, Snapshot, State, Timings, Usage
from glasschat.glass import RemoteToken
from glasschat.prompt import ChatMessage

_THINK, _THOUGHT = "<think>\n", "\n</think>\n\n"


@dataclass(frozen=True, slots=True)
class RemotePrompt:
    """What a server is given to read, as far as that is known here. See ReplyPrompt."""

    tokens: int
    left_out: tuple[int, ...] = ()
    counted: bool = False


class RemoteReply(Reply):
    """A reply in flight or finished, as its stream tells of it.

    Until the server has counted, its tokens are those that it told of, or else pieces of text. It
    has no ids: the text goes back. What the model thought before it answered stands in the text
    between <think> and </think>, as the models write it. `hang_up` ends the stream; it is called
    from any thread.
    """

    def __init__(
        self,
        prompt: RemotePrompt,
        hang_up: Callable[[], object],
        *,
        seed: int | None = None,
        earlier: str = "",
    ) -> None:
        """`earlier` is what the reply has already, where it goes on."""
        super().__init__()
        self._prompt = prompt
        self._hang_up = hang_up
        self._seed = seed
        self._steps: list[RemoteToken] = []
        self._read = 0
        self._counted = Counted(None, None, None)
        self._thinking = "<think>" in earlier and "</think>" not in earlier
        self._half = ""

    @property
    def prompt(self) -> RemotePrompt:
        """What it answers."""
        return self._prompt

    def snapshot(self) -> Snapshot:
        """Everything there is to know of the reply now."""
        with self._changed:
            usage = self._usage()
            timings = self.clock.timings(0, usage.completion_tokens)
            return Snapshot(
                version=self._version,
                state=self._state,
                queue_position=0,
                prefilled=self._read,
                usage=usage,
                text=self._joined_text(),
                finish_reason=self._finish_reason,
                error=self._error,
                # How long the prompt took to be read cannot be told from how long it waited.
                timings=Timings(timings.ttft_s, None, timings.decode_tps),
                seed=self._seed,
            )

    def steps(self, start: int = 0) -> tuple[RemoteToken, ...]:
        """The tokens from number `start` on, as far as the server tells them apart."""
        with self._changed:
            return tuple(self._steps[start:])

    def message(self) -> ChatMessage:
        """The reply as a turn, without ids; of one that was continued, what came now."""
        with self._changed:
            return ChatMessage("assistant", self._joined_text())

    @property
    def counted(self) -> Counted:
        """What the server has counted."""
        return self._counted

    def cancel(self) -> None:
        """Close the connection; what is there stays."""
        self._hang_up()

    # --- the writer's side ----------------------------------------------------------------

    def _take(self, chunk: Chunk) -> None:
        """What a chunk has that is new; nothing comes after the end."""
        with self._changed:
            if self._finish_reason is not None:
                return
            if chunk.counted is not None:
                self._counted = chunk.counted
            if chunk.read is not None and chunk.to_read:
                self._counted = Counted(chunk.to_read, None, None)
                self._read, self._state = chunk.read, State.PREFILLING
            text = self._whole(self._with_thoughts(chunk))
            if text or chunk.tokens:
                self._write(text, chunk.tokens)
            self._publish()

    def _finish(self, reason: FinishReason, error: str | None = None) -> None:
        with self._changed:
            if self._finish_reason is not None:
                return
            # Thoughts that were cut off stay open, so that the reply goes on with them.
            if rest := ("�" if self._half else ""):
                self._write(rest, ())
            self._end(reason, error)

    def _write(self, text: str, tokens: Sequence[ToldToken]) -> None:
        if self.clock.admitted_at is None:
            self.clock.admitted()
        if self.clock.token():
            self._read = self._usage().prompt_tokens
        self._state = State.RUNNING
        self._steps += steps_of(text, tokens)
        if text:
            self._new_text.append(text)

    def _with_thoughts(self, chunk: Chunk) -> str:
        """The chunk's text, thoughts in front of the answer and marked as the models do."""
        said = ""
        if chunk.thought:
            said += chunk.thought if self._thinking else _THINK + chunk.thought
            self._thinking = True
        if chunk.text:
            said += _THOUGHT + chunk.text if self._thinking else chunk.text
            self._thinking = False
        return said

    def _whole(self, text: str) -> str:
        """The text without halves of characters: JSON may carry one and the next event the other.

        Halves that stay alone become U+FFFD.
        """
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        if text.isascii():
            return text
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _usage(self) -> Usage:
        told = self._counted
        return Usage(
            self._prompt.tokens if told.prompt is None else told.prompt,
            told.cached or 0,
            len(self._steps) if told.completion is None else told.completion,
        )


def steps_of(text: str, tokens: Sequence[ToldToken]) -> list[RemoteToken]:
    """A piece of text as its tokens, joined the same; where they do not make it up, the last of
    them releases all of it.
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
