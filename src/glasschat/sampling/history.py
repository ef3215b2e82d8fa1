"""Token ids of one sequence so far, with the distinct ones and their counts; append-only.

It knows no model and no text.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from glasschat.errors import ParameterError

Ids = NDArray[np.int64]


class _Growing:
    """An int64 array that doubles its capacity when full, so that appending is O(1) on average."""

    __slots__ = ("_buffer", "length")

    def __init__(self, start: Ids, capacity: int) -> None:
        self.length = len(start)
        self._buffer = np.empty(max(capacity, self.length, 16), np.int64)
        self._buffer[: self.length] = start

    def append(self, value: int) -> None:
        if self.length == len(self._buffer):
            self._buffer = np.concatenate([self._buffer, np.empty_like(self._buffer)])
        self._buffer[self.length] = value
        self.length += 1

    def increment(self, index: int) -> None:
        self._buffer[index] += 1

    def view(self, start: int = 0) -> Ids:
        ids = self._buffer[start : self.length]
        ids.flags.writeable = False
        return ids


class TokenHistory:
    """Prompt and reply of one sequence as token ids.

    All array properties are read-only int64 views that cost no copy. A view keeps the length that
    it had when it was taken; take a new one after `append`. Two histories of the same ids are equal
    to every stage, however they came about.

    Raises ParameterError for a negative id.
    """

    __slots__ = (
        "_counts",
        "_ids",
        "_output_places",
        "_output_seen",
        "_seen",
        "_seen_set",
        "_start",
    )

    def __init__(self, prompt_ids: Iterable[int], capacity: int = 0) -> None:
        """Copy the prompt; `capacity` is the expected number of ids in all.

        More ids than that are allowed.
        """
        prompt = np.array(
            prompt_ids if isinstance(prompt_ids, np.ndarray) else list(prompt_ids), np.int64
        )
        if prompt.size and prompt.min() < 0:
            raise ParameterError("prompt_ids", "token ids of at least 0", int(prompt.min()))
        # First occurrences in order, so that a prompt and the same ids appended are seen alike.
        distinct = np.fromiter(dict.fromkeys(prompt.tolist()), np.int64)
        nothing = np.empty(0, np.int64)
        self._start = len(prompt)
        self._ids = _Growing(prompt, capacity)
        self._seen = _Growing(distinct, 2 * len(distinct))
        self._seen_set = set(distinct.tolist())
        self._output_seen = _Growing(nothing, 0)
        self._counts = _Growing(nothing, 0)
        self._output_places: dict[int, int] = {}

    def __len__(self) -> int:
        return self._ids.length

    def append(self, token_id: int) -> None:
        """Append one token id of the reply, in O(1) on average.

        Raises ParameterError for a negative id.
        """
        if token_id < 0:
            raise ParameterError("token_id", "a token id of at least 0", token_id)
        self._ids.append(token_id)
        if token_id not in self._seen_set:
            self._seen_set.add(token_id)
            self._seen.append(token_id)
        place = self._output_places.get(token_id)
        if place is None:
            self._output_places[token_id] = self._output_seen.length
            self._output_seen.append(token_id)
            self._counts.append(1)
        else:
            self._counts.increment(place)

    @property
    def prompt_length(self) -> int:
        """Return the number of token ids in the prompt."""
        return self._start

    @property
    def output_length(self) -> int:
        """Return the number of token ids in the reply so far."""
        return self._ids.length - self._start

    @property
    def ids(self) -> Ids:
        """Return the ids of prompt and reply, int64 [length]."""
        return self._ids.view()

    @property
    def output_ids(self) -> Ids:
        """Return the ids of the reply, int64 [output_length]."""
        return self._ids.view(self._start)

    @property
    def seen(self) -> Ids:
        """Return the distinct ids of prompt and reply, int64 [n], in order of first appearance."""
        return self._seen.view()

    @property
    def output_seen(self) -> Ids:
        """Return the distinct ids of the reply, int64 [n], in order of first appearance."""
        return self._output_seen.view()

    @property
    def output_counts(self) -> Ids:
        """Return how often each id of `output_seen` occurs in the reply, int64 [n]."""
        return self._counts.view()
