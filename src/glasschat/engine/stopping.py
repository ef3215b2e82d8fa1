"""Stop strings, wherever the token boundaries fall."""

from collections.abc import Sequence


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
