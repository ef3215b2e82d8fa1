"""The trace of a reply that another server wrote: the log-probabilities that it sent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from glasschat.engine import Token


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """A token at its place, and the natural logarithm of its probability there.

    `written` is the token as the server writes it. `data` are its bytes, None where they were not
    sent: then several tokens may be written alike. Servers mean the model's own distribution,
    before any setting changed it; some mean a later one, and none says which.
    """

    written: str
    data: bytes | None
    logprob: float

    def as_json(self) -> list[Any]:
        """Return its text and its log-probability."""
        return [self.written, self.logprob]

    def is_same(self, other: "RemoteCandidate") -> bool:
        """Return whether it is the same token: by bytes where both have them, else by text."""
        if self.data is not None and other.data is not None:
            return self.data == other.data
        return self.written == other.written


@dataclass(frozen=True, slots=True)
class RemoteToken:
    """A token of a reply that a server wrote, or a piece of text of which no more is known.

    `text` is what it released. `chosen` is None where the server sent no log-probability, and
    `top` are the likeliest at its place, likeliest first: at most 20, often fewer.
    """

    text: str
    chosen: RemoteCandidate | None = None
    top: tuple[RemoteCandidate, ...] = ()

    @property
    def token_id(self) -> None:
        """None: servers send texts, no ids."""

    @property
    def record(self) -> None:
        """None: no server sends what its stages did."""

    @property
    def rank(self) -> int | None:
        """Its place among the likeliest, 0 the first; None where it is not among those sent."""
        if self.chosen is None:
            return None
        return next((n for n, c in enumerate(self.top) if c.is_same(self.chosen)), None)

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers and lists, for `--trace`."""
        return {
            "text": self.text,
            "token": None if self.chosen is None else self.chosen.as_json(),
            "top": [candidate.as_json() for candidate in self.top],
        }

    @property
    def unlisted_probability(self) -> float | None:
        """The probability of all tokens that were not sent, together; None where none was."""
        if self.chosen is None:
            return None
        listed = self.top if self.rank is not None else (*self.top, self.chosen)
        return max(0.0, 1.0 - math.fsum(math.exp(c.logprob) for c in listed))


@dataclass(frozen=True, eq=False)
class RemoteTrace:
    """One run of a reply as its server sent it: what `Trace` is for replies of local models."""

    steps: tuple[RemoteToken, ...]

    @classmethod
    def of(cls, steps: Sequence[Token]) -> "RemoteTrace | None":
        """Return the trace of a reply's steps; None where no server wrote them."""
        remote = remote_tokens(steps)
        return cls(tuple(remote)) if remote else None

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def has_logprobs(self) -> bool:
        """Whether there is a log-probability for any of them."""
        return any(step.chosen is not None for step in self.steps)


def remote_tokens(steps: Sequence[Token]) -> list[RemoteToken]:
    """Return those of the steps that another server wrote; of a local model's reply none."""
    return [step for step in steps if isinstance(step, RemoteToken)]
