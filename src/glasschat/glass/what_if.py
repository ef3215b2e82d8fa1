"""Other settings for a recorded reply: where it would have gone another way, without the model.

What is compared is each choice with the text before it as it was. Up to the first place where the
choice is another one this is what a new reply with these settings and the same seed says; behind
it, what would be if the text up to there were the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.choosing import UNLISTED, Choices, choose
from glasschat.glass.rebuild import Rebuilt, rebuild
from glasschat.glass.trace import Trace
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Divergence:
    """A place where the choice would be another one.

    `token_id` was chosen with `probability`, `instead` would be, with `its_probability`; None for
    a token that is not among the recorded candidates, and then the probability is that of all
    such tokens together. Where it is not `sure` the recorded candidates do not suffice to say
    which token it is.
    """

    place: int
    token_id: int
    probability: float
    instead: int | None
    its_probability: float
    sure: bool


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What other settings make of a reply of `tokens` tokens.

    `divergences` are in the order of their places. `open_places` are those where the recorded
    candidates do not suffice to say whether the choice would be another one. `ends_at` is how many
    tokens there would be before the reply ends by these settings; None where they do not end it
    earlier.
    """

    params: SamplingParams
    tokens: int
    divergences: tuple[Divergence, ...]
    open_places: tuple[int, ...]
    ends_at: int | None

    @property
    def first(self) -> Divergence | None:
        """The first place that is another one."""
        return self.divergences[0] if self.divergences else None

    @property
    def exact(self) -> bool:
        """Whether up to the first divergence, and there, nothing is left open."""
        first = self.first
        end = self.tokens if first is None else first.place
        return (first is None or first.sure) and all(place > end for place in self.open_places)


@dataclass(frozen=True, eq=False)
class Compared:
    """The choices of other settings beside those that were recorded; all arrays are [n]."""

    rebuilt: Rebuilt
    choices: Choices
    other: NDArray[np.bool_]
    open: NDArray[np.bool_]


def what_if(trace: Trace, params: SamplingParams) -> WhatIf:
    """Ask what `params` would have made of the reply.

    The draws are those of the reply's own seed, or of `params.seed` where it names another one.
    Tokens that were chosen by hand stay.
    """
    found = compare(trace, params)
    columns = trace.columns
    divergences = tuple(
        Divergence(
            place=place,
            token_id=int(columns.token_id[place]),
            probability=float(columns.probability[place]),
            instead=None if instead == UNLISTED else instead,
            its_probability=float(found.choices.probability[place]),
            sure=bool(found.choices.sure[place]),
        )
        for place in np.flatnonzero(found.other).tolist()
        for instead in (int(found.choices.token_id[place]),)
    )
    unsettled = tuple(np.flatnonzero(found.open & ~found.other).tolist())
    return WhatIf(params, len(trace), divergences, unsettled, _ends_at(trace, params))


def compare(trace: Trace, params: SamplingParams) -> Compared:
    """The choices that `params` would make, beside the recorded ones."""
    columns = trace.columns
    seed = trace.seed if params.seed is None else params.seed
    rebuilt = rebuild(trace, params)
    draws = trace.draws if seed == trace.seed else trace.draws_of(seed)
    choices = choose(rebuilt.last, None if params.greedy else draws)
    as_it_was = (
        rebuilt.known == len(rebuilt.stages) == len(columns.stages)
        and params.greedy == trace.params.greedy
        and (params.greedy or seed == trace.seed)
    )
    listed = (columns.ids == columns.token_id[:, None]).any(axis=1)
    beyond = choices.token_id == UNLISTED
    same = np.where(listed, choices.token_id == columns.token_id, beyond)
    # Of two tokens that are both not listed nobody can say whether they are one.
    unsettled = ~choices.sure | (beyond & ~listed)
    free = ~columns.forced & (not as_it_was)
    return Compared(rebuilt, choices, free & ~same, free & unsettled)


def _ends_at(trace: Trace, params: SamplingParams) -> int | None:
    """Before how many tokens of this run the settings end the reply, its text being what it is."""
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
        ends.append(_stopped(trace, params.stop, free))
    end = min(ends)
    return end if end < len(trace) else None


def _stopped(trace: Trace, stops: tuple[str, ...], free: int) -> int:
    """How many tokens there are with the first whole stop string; none counts before `free`."""
    text = "".join(trace.texts[free:])
    found = [at + len(stop) for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return len(trace)
    reach = 0
    for place, piece in enumerate(trace.texts[free:], free):
        reach += len(piece)
        if reach >= min(found):
            return place + 1
    return len(trace)
