"""When a reply was asked for, admitted and written."""

import time

from glasschat.engine.snapshot import Timings


class ReplyClock:
    """The moments of one reply, in seconds of `time.perf_counter`; None for those to come.

    The engine's thread alone sets them, each once but the last token's.
    """

    __slots__ = ("admitted_at", "ended_at", "first_at", "last_at", "submitted_at")

    def __init__(self) -> None:
        self.submitted_at = time.perf_counter()
        self.admitted_at: float | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.ended_at: float | None = None

    def admitted(self) -> None:
        """A slot was found."""
        self.admitted_at = time.perf_counter()

    def token(self) -> bool:
        """A token has come; whether it is the first."""
        self.last_at = time.perf_counter()
        is_first = self.first_at is None
        if is_first:
            self.first_at = self.last_at
        return is_first

    def ended(self) -> None:
        """Nothing more will come."""
        self.ended_at = time.perf_counter()

    def timings(self, computed: int, tokens: int) -> Timings:
        """The figures of a reply of `tokens`, for which `computed` ids of the prompt were run."""
        first, last, admitted = self.first_at, self.last_at, self.admitted_at
        if first is None or last is None or admitted is None:
            return Timings(None, None, None)
        more = tokens - 1
        return Timings(
            ttft_s=first - self.submitted_at,
            prefill_tps=computed / (first - admitted) if first > admitted else None,
            decode_tps=more / (last - first) if more and last > first else None,
        )
