"""The text of a reply, token by token, also where it goes on from an earlier part."""

import codecs
from collections.abc import Callable, Collection, Sequence

from glasschat.engine.request import GenerationRequest
from glasschat.models.base import Tokenizer


class StopStrings:
    """Passes text on until a stop string appears.

    Text that could be the beginning of a stop string is held back until it is known not to be;
    so nothing of a stop string is ever shown. The order of work follows llama.cpp's server:
    look for a whole stop string first, then hold back any suffix that could begin one.

    `shown` is text that was passed on before: a stop string may have begun in it.
    """

    def __init__(self, stops: Sequence[str], shown: str = "") -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._held = _suffix(shown, self._longest_beginning(shown))
        self._shown = len(self._held)  # so much of what is held was passed on already

    def push(self, text: str) -> tuple[str, bool]:
        """The text that may be shown now, and whether a stop string was met."""
        if not self._stops:
            return text, False
        self._held += text
        found = [at for stop in self._stops if (at := self._find(stop)) >= 0]
        if found:
            return self._pass_on(min(found), keep=0), True
        keep = self._longest_beginning(self._held)
        return self._pass_on(len(self._held) - keep, keep=keep), False

    def flush(self) -> str:
        """What was held back: no stop string will complete it."""
        return self._pass_on(len(self._held), keep=0)

    def _find(self, stop: str) -> int:
        """Where `stop` begins, if not all of it was passed on; -1 if nowhere."""
        return self._held.find(stop, max(0, self._shown - len(stop) + 1))

    def _pass_on(self, end: int, *, keep: int) -> str:
        """What is new of the text held, up to `end`; the last `keep` of it are held on."""
        passed = self._held[self._shown : end]
        self._shown = max(0, self._shown - (len(self._held) - keep))
        self._held = _suffix(self._held, keep)
        return passed

    def _longest_beginning(self, text: str) -> int:
        """The length of the longest suffix of `text` that could begin a stop string."""
        for length in range(min(len(text), self._longest - 1), 0, -1):
            suffix = text[-length:]
            if any(stop.startswith(suffix) for stop in self._stops):
                return length
        return 0


def _suffix(text: str, length: int) -> str:
    return text[len(text) - length :]


class IncrementalDetokenizer:
    """Turns ids into text as they come.

    The contract: the joined results of `push` and the final `flush` equal the bytes of all ids,
    joined and decoded as UTF-8 with U+FFFD for what is not UTF-8; for any ids. A character that
    is spread over several tokens is held back until it is whole. Ids in `hidden` (control
    tokens) have no text.
    """

    def __init__(
        self, token_bytes: Callable[[int], bytes], hidden: Collection[int] = frozenset()
    ) -> None:
        self._token_bytes = token_bytes
        self._hidden = hidden
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """The text that `token_id` completes; often more or less than its own piece."""
        if token_id in self._hidden:
            return ""
        return self._decoder.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        """What was held back, as U+FFFD: no more ids will complete it."""
        return self._decoder.decode(b"", final=True)


class ReplyText:
    """Turns the tokens of a reply into text, and finds its stop strings.

    The law of a reply that is continued: its earlier text and the new one, joined, are the text
    of all its ids. So what the earlier ids say beyond the earlier text, such as the first bytes
    of a character, comes with the first new token. Text that was shown is never taken back: a
    stop string that began in the earlier part ends the reply, and its beginning stays.
    """

    def __init__(self, request: GenerationRequest, tokenizer: Tokenizer) -> None:
        self._detokenizer = IncrementalDetokenizer(tokenizer.token_bytes, tokenizer.hidden_ids)
        earlier = [self._detokenizer.push(token_id) for token_id in request.reply_ids]
        shown = request.prompt.open_reply.text if request.prompt.open_reply else ""
        self._unshown = _beyond(shown, "".join(earlier))
        # No stop string begins in a token that came before they counted.
        watched = "".join(earlier[max(0, request.params.min_new_tokens - 1) :])
        watched = watched[: max(0, len(watched) - len(self._unshown))]
        self._stops = StopStrings(request.params.stop, watched)

    def push(self, token_id: int, *, may_stop: bool) -> tuple[str, bool]:
        """The text that a further token releases, and whether a stop string was met in it."""
        text, self._unshown = self._unshown + self._detokenizer.push(token_id), ""
        return self._stops.push(text) if may_stop else (text, False)

    def end(self) -> tuple[str, bool]:
        """The last of the text of a reply that is complete, and whether a stop string was met."""
        shown, stopped = self._stops.push(self._unshown + self._detokenizer.flush())
        return (shown, True) if stopped else (shown + self._stops.flush(), False)

    def break_off(self) -> str:
        """The last of the text of a reply that may go on later.

        What could have become a stop string is shown; a character that is not whole waits.
        """
        return self._unshown + self._stops.flush()


def _beyond(shown: str, text: str) -> str:
    """What `text` says beyond `shown`; nothing where it does not begin with it.

    That is so for a reply whose last character was shown as U+FFFD before it was whole, and for
    one whose text was encoded anew, with a space in front.
    """
    return text[len(shown) :] if text.startswith(shown) else ""
