"""A reply as it was recorded: what every question of the glass box is asked of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glasschat.engine import Generation, Step
from glasschat.prompt import PromptEncoding
from glasschat.sampling import Columns, SamplingParams, StepRecord, seeded_draws


@dataclass(frozen=True, eq=False)
class Trace:
    """One run of a reply: what the model read, the settings, and how each token was chosen.

    `end_ids` are the tokens that end the model's replies, `vocab_size` the length of its rows of
    logits. `columns` has a row for each token, `texts` what each released. A reply that was
    continued has a trace for each run; the earlier part of the reply is at the end of `prompt`.
    """

    prompt: PromptEncoding
    params: SamplingParams
    seed: int
    end_ids: frozenset[int]
    vocab_size: int
    columns: Columns
    texts: tuple[str, ...]

    @classmethod
    def of(cls, generation: Generation) -> "Trace | None":
        """That of a reply as far as it has come; None without records, or before its first one."""
        snapshot, request = generation.snapshot(), generation.request
        steps = recorded(generation.steps())
        if not steps or snapshot.seed is None:
            return None
        empty = cls(
            prompt=request.prompt,
            params=request.params,
            seed=snapshot.seed,
            end_ids=request.end_ids,
            vocab_size=request.vocab_size,
            columns=Columns.of(()),
            texts=(),
        )
        return empty._with(steps)

    def grown(self, generation: Generation) -> "Trace":
        """With what that reply, whose trace this is, has grown by; costs what is new of it."""
        steps = recorded(generation.steps(len(self)))
        return self._with(steps) if steps else self

    def _with(self, steps: Sequence[Step]) -> "Trace":
        new = Columns.of([step.record for step in steps if step.record is not None])
        columns = Columns.joined([self.columns, new]) if len(self) else new
        return replace(self, columns=columns, texts=(*self.texts, *(s.text for s in steps)))

    def __len__(self) -> int:
        return len(self.columns)

    def at(self, place: int) -> "Trace":
        """The token of that place alone; those before it are the earlier part of the reply."""
        if not 0 <= place < len(self):
            raise IndexError(f"the reply has {len(self)} tokens and no place {place}")
        before = (*self.prompt.ids[self.reply_start :], *self.token_ids[:place])
        asked = replace(self.prompt, ids=self.prompt.ids[: self.reply_start], open_reply=None)
        return replace(
            self,
            prompt=asked.going_on(-1, before, ""),
            columns=self.columns.part(slice(place, place + 1)),
            texts=self.texts[place : place + 1],
        )

    def record(self, place: int) -> StepRecord:
        """How the token of that place was chosen, 0 the first of this run."""
        return self.columns.record(place)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens of this run."""
        return tuple(self.columns.token_id.tolist())

    @property
    def text(self) -> str:
        """What they say together."""
        return "".join(self.texts)

    @property
    def reply_start(self) -> int:
        """How many ids of the prompt come before the reply."""
        open_reply = self.prompt.open_reply
        return len(self.prompt.ids) - (open_reply.tokens if open_reply else 0)

    @property
    def earlier(self) -> int:
        """How many tokens the reply had before this run."""
        return len(self.prompt.ids) - self.reply_start

    @cached_property
    def draws(self) -> NDArray[np.float64]:
        """The numbers of the seed for the places of this run, those that were left unused too."""
        return self.draws_of(self.seed)

    def draws_of(self, seed: int) -> NDArray[np.float64]:
        """The numbers that another seed has for these places."""
        return seeded_draws(seed, self.earlier, len(self))


def recorded(steps: Sequence[Step]) -> Sequence[Step]:
    """The steps up to the first that has no record: of a reply without traces none."""
    for number, step in enumerate(steps):
        if step.record is None:
            return steps[:number]
    return steps
