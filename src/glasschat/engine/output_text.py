"""Text of a reply from its token ids: incremental UTF-8 decoding, then the search for stop strings.

Both also work for a reply that goes on from an earlier part.
"""

import codecs
from collections.abc import Callable, Collection, Sequence

from glasschat.engine.request import GenerationRequest
from glasschat.models.base import Tokenizer


class StopStrings:
    """Searches a text that grows for stop strings and holds back what could begin one.

    Text that could be the beginning of a stop string is held back until it is known not to be, so
    nothing of a stop string is ever shown. The order of work follows llama.cpp's server: look for a
    whole stop string first, then hold back any suffix that could begin one.

    `shown` is text that was released before: a stop string may have begun in it.
    """

    def __init__(self, stops: Sequence[str], shown: str = "") -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._held = _suffix(shown, self._partial_stop_length(shown))
        self._shown = len(self._held)  # so much of what is held was passed on already

    def push(self, text: str) -> tuple[str, bool]:
        """Add `text`; return what may be shown now, and whether a stop string was found."""
        if not self._stops:
            return text, False
        self._held += text
        found = [at for stop in self._stops if (at := self._find(stop)) >= 0]
        if found:
            return self._release(min(found), keep=0), True
        keep = self._partial_stop_length(self._held)
        return self._release(len(self._held) - keep, keep=keep), False

    def flush(self) -> str:
        """Return the text that was held back, once no stop string can complete it."""
        return self._release(len(self._held), keep=0)

    def _find(self, stop: str) -> int:
        """Return the index where `stop` begins, if not all of it was released; -1 if nowhere."""
        return self._held.find(stop, max(0, self._shown - len(stop) + 1))

    def _release(self, end: int, *, keep: int) -> str:
        """Return the held text up to `end` that is new, and keep the last `keep` characters."""
        released = self._held[self._shown : end]
        self._shown = max(0, self._shown - (len(self._held) - keep))
        self._held = _suffix(self._held, keep)
        return released

    def _partial_stop_length(self, text: str) -> int:
        """Return the length of the longest suffix of `text` that could begin a stop string."""
        for length in range(min(len(text), self._longest - 1), 0, -1):
            suffix = text[-length:]
            if any(stop.startswith(suffix) for stop in self._stops):
                return length
        return 0


def _suffix(text: str, length: int) -> str:
    return text[len(text) - length :]


class IncrementalDetokenizer:
    """Decodes token ids to text as they come.

    The contract: the joined results of `push` and the final `flush` equal the bytes of all ids,
    joined and decoded as UTF-8 with U+FFFD for what is not UTF-8; for any ids. A character that is
    spread over several tokens is held back until it is complete. Ids in `hidden` (control tokens)
    have no text.
    """

    def __init__(
        self, token_bytes: Callable[[int], bytes], hidden: Collection[int] = frozenset()
    ) -> None:
        self._token_bytes = token_bytes
        self._hidden = hidden
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Return the text that `token_id` completes; it is often more or less than the token's own
        piece.
        """
        if token_id in self._hidden:
            return ""
        return self._decoder.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        """Return the bytes that were held back as U+FFFD, once no more ids can complete them."""
        return self._decoder.decode(b"", final=True)


class ReplyText:
    """Turns the token ids of a reply into text, and finds its stop strings.

    The law of a reply that is continued: its earlier text and the new text, joined, are the text of
    all its ids. So what the earlier ids say beyond the earlier text, such as the first bytes of a
    character, comes with the first new token. Text that was shown is never taken back: a stop
    string that began in the earlier part ends the reply, and its beginning stays.
    """

    def __init__(self, request: GenerationRequest, tokenizer: Tokenizer) -> None:
        self._detokenizer = IncrementalDetokenizer(tokenizer.token_bytes, tokenizer.hidden_ids)
        earlier = [self._detokenizer.push(token_id) for token_id in request.reply_ids]
        shown = request.prompt.open_reply.text if request.prompt.open_reply else ""
        self._unreleased = _text_after(shown, "".join(earlier))
        # No stop string begins in a token that came before they counted.
        watched = "".join(earlier[max(0, request.params.min_new_tokens - 1) :])
        watched = watched[: max(0, len(watched) - len(self._unreleased))]
        self._stops = StopStrings(request.params.stop, watched)

    def push(self, token_id: int, *, may_stop: bool) -> tuple[str, bool]:
        """Add a token; return the text it releases, and whether a stop string was found in it."""
        text, self._unreleased = self._unreleased + self._detokenizer.push(token_id), ""
        return self._stops.push(text) if may_stop else (text, False)

    def flush(self) -> tuple[str, bool]:
        """Return the rest of the text of a complete reply, and whether a stop string was found in
        it.
        """
        shown, stopped = self._stops.push(self._unreleased + self._detokenizer.flush())
        return (shown, True) if stopped else (shown + self._stops.flush(), False)

    def flush_resumable(self) -> str:
        """Return the rest of the text of a reply that may be continued later.

        What could have become a stop string is shown; an incomplete character waits.
        """
        return self._unreleased + self._stops.flush()


def _text_after(shown: str, text: str) -> str:
    """Return what `text` has after `shown`; empty where it does not begin with `shown`.

    That is so for a reply whose last character was shown as U+FFFD before it was complete, and for
    one whose text was encoded anew, with a space in front.
    """
    return text[len(shown) :] if text.startswith(shown) else ""
