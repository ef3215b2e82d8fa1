"""Stop strings, wherever the token boundaries fall."""

from collections.abc import Sequence


class StopStrings:
    """Passes text on until a stop string appears.

    Text that could be the beginning of a stop string is held back until it is known not to be;
    so nothing of a stop string is ever shown. The order of work follows llama.cpp's server:
    look for a whole stop string first, then hold back any suffix that could begin one.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """The text that may be shown now, and whether a stop string was met."""
        if not self._stops:
            return text, False
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            shown, self._held = self._held[: min(found)], ""
            return shown, True
        keep = self._longest_beginning()
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown, False

    def flush(self) -> str:
        """What was held back: no stop string will complete it."""
        shown, self._held = self._held, ""
        return shown

    def _longest_beginning(self) -> int:
        longest = min(len(self._held), max(len(stop) for stop in self._stops) - 1)
        for length in range(longest, 0, -1):
            suffix = self._held[-length:]
            if any(stop.startswith(suffix) for stop in self._stops):
                return length
        return 0
