"""The text of a reply, token by token, also where it goes on from an earlier part."""

from glasschat.engine.detokenizer import IncrementalDetokenizer
from glasschat.engine.request import GenerationRequest
from glasschat.engine.stopping import StopStrings
from glasschat.models.base import Tokenizer


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
