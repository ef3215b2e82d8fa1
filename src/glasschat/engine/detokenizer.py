"""Token ids to text, one at a time."""

import codecs
from collections.abc import Callable, Collection


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
