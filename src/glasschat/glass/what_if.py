"""What-if: where a recorded reply would have gone another way with other settings, without model.

Each choice is compared with the text before it as it was. Up to the first place where the choice
differs this is what a new reply with these settings and the same seed says; behind it, what would
be if the text up to there were the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.choosing import UNLISTED, Choices, choose
from glasschat.glass.rebuild import RebuiltStages, rebuild
from glasschat.glass.trace import Trace
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Divergence:
    """A place where another token would be chosen.

    `token_id` was chosen with `probability`; `instead` would be, with `instead_probability`. None
    stands for a token that is not among the recorded candidates, and then the probability is that
    of all such tokens together. Where it is not `certain` the recorded candidates do not suffice
    to say which token it is.
    """

    place: int
    token_id: int
    probability: float
    instead: int | None
    instead_probability: float
    certain: bool


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What other settings make of a reply of `tokens` tokens.

    `divergences` are in the order of their places. `open_places` are those where it is open whether
    another token would be chosen: because the recorded candidates do not suffice, or, at the
    `unknown_places` among them, because it is not known behind a custom stage. `ends_at` is how
    many tokens there would be before the reply ends by these settings; None where they do not end
    it earlier.
    """

    params: SamplingParams
    tokens: int
    divergences: tuple[Divergence, ...]
    open_places: tuple[int, ...]
    unknown_places: tuple[int, ...]
    ends_at: int | None

    @property
    def first(self) -> Divergence | None:
        """Return the first divergence, None where there is none."""
        return self.divergences[0] if self.divergences else None

    @property
    def exact(self) -> bool:
        """Whether nothing is open up to the first divergence, and at it."""
        first = self.first
        end = self.tokens if first is None else first.place
        return (first is None or first.certain) and all(place > end for place in self.open_places)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The choices of other settings beside the recorded ones; arrays are bool [n].

    `differs` is where the choice is another one, for certain or most likely; `open` where that is
    not certain. `unknown`, a part of `open`, is where nothing can be said behind a custom stage.
    """

    rebuilt: RebuiltStages
    choices: Choices
    differs: NDArray[np.bool_]
    open: NDArray[np.bool_]
    unknown: NDArray[np.bool_]


def what_if(trace: Trace, params: SamplingParams) -> WhatIf:
    """Return what `params` would have made of the reply.

    The draws are those of the reply's own seed, or of `params.seed` where it names another one.
    Tokens that were chosen by hand stay.
    """
    found = compare_choices(trace, params)
    columns = trace.columns
    divergences = tuple(
        Divergence(
            place=place,
            token_id=int(columns.token_id[place]),
            probability=float(columns.probability[place]),
            instead=None if instead == UNLISTED else instead,
            instead_probability=float(found.choices.probability[place]),
            certain=bool(found.choices.certain[place]),
        )
        for place in np.flatnonzero(found.differs).tolist()
        for instead in (int(found.choices.token_id[place]),)
    )
    return WhatIf(
        params=params,
        tokens=len(trace),
        divergences=divergences,
        open_places=tuple(np.flatnonzero(found.open & ~found.differs).tolist()),
        unknown_places=tuple(np.flatnonzero(found.unknown).tolist()),
        ends_at=_earlier_end(trace, params),
    )


def compare_choices(trace: Trace, params: SamplingParams) -> Comparison:
    """Return the choices that `params` would make beside the recorded ones."""
    columns = trace.columns
    seed = trace.seed if params.seed is None else params.seed
    rebuilt = rebuild(trace, params)
    draws = trace.draws if seed == trace.seed else trace.draws_of(seed)
    choices = choose(rebuilt.final, None if params.greedy else draws)
    unchanged = (
        rebuilt.recorded_count == len(rebuilt.stages) == len(columns.stages)
        and params.greedy == trace.params.greedy
        and (params.greedy or seed == trace.seed)
    )
    listed = (columns.ids == columns.token_id[:, None]).any(axis=1)
    beyond = choices.token_id == UNLISTED
    same = np.where(listed, choices.token_id == columns.token_id, beyond)
    # Of two tokens that are both not listed it cannot be said whether they are one.
    undecided = ~choices.certain | (beyond & ~listed)
    free = ~columns.forced & (not unchanged)
    return Comparison(
        rebuilt=rebuilt,
        choices=choices,
        differs=free & ~same & ~choices.unknown,
        open=free & undecided,
        unknown=free & choices.unknown,
    )


def _earlier_end(trace: Trace, params: SamplingParams) -> int | None:
    """Return after how many tokens the settings end the reply, its text being what it is.

    None where they do not end it earlier.
    """
    ends = [len(trace)]
    if params.max_new_tokens is not None:
        ends.append(params.max_new_tokens)
    ends.append(max(params.max_length - len(trace.prompt.ids), 1))
    ending = set(params.stop_token_ids) | (set() if params.ignore_eos else trace.end_ids)
    free = max(0, params.min_new_tokens - trace.earlier - 1)
    for place, token_id in enumerate(trace.token_ids[free:], free):
        if token_id in ending:
            ends.append(place + 1)
            break
    if params.stop:
        ends.append(_end_by_stop_string(trace, params.stop, free))
    end = min(ends)
    return end if end < len(trace) else None


def _end_by_stop_string(trace: Trace, stops: tuple[str, ...], free: int) -> int:
    """Return how many tokens there are up to the first whole stop string.

    The text of the first `free` tokens does not count.
    """
    text = "".join(trace.texts[free:])
    found = [at + len(stop) for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return len(trace)
    length = 0
    for place, piece in enumerate(trace.texts[free:], free):
        length += len(piece)
        if length >= min(found):
            return place + 1
    return len(trace)
