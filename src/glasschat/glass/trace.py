"""A reply as it was recorded: what every question of the glass box is asked of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from glasschat.engine import Generation, Step, Token
from glasschat.prompt import PromptEncoding
from glasschat.sampling import (
    NO_STAGES,
    Columns,
    SamplingParams,
    StageClasses,
    StepRecord,
    seeded_draws,
)

S = TypeVar("S", bound=Token)


@dataclass(frozen=True, eq=False)
class Trace:
    """One run of a reply: what the model read, the settings, and how each token was chosen.

    `end_ids` are the tokens that end the model's replies, `vocab_size` the length of its rows of
    logits. `columns` has a row for each token, `texts` what each released. A reply that was
    continued has a trace for each run; the earlier part of the reply is at the end of `prompt`.
    Of stages of one's own that it had, those can be run again whose classes are among
    `stage_classes`; nobody keeps these with a trace, so give it them: `replace`.
    """

    prompt: PromptEncoding
    params: SamplingParams
    seed: int
    end_ids: frozenset[int]
    vocab_size: int
    columns: Columns
    texts: tuple[str, ...]
    stage_classes: StageClasses = NO_STAGES

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
            stage_classes=request.stage_classes,
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
        """The token of that place alone, 0 the first of this run. Raises IndexError."""
        if not 0 <= place < len(self):
            raise IndexError(f"the reply has {len(self)} tokens and no place {place}")
        return self.part(place, place + 1)

    def part(self, start: int, stop: int) -> "Trace":
        """The tokens from `start` up to `stop` alone, with the draws that they have in the run.

        Those before are the earlier part of the reply, as if the run had gone on at `start`.
        Raises IndexError for tokens that the run has not.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"the reply has {len(self)} tokens and not {start} to {stop}")
        part = replace(
            self,
            columns=self.columns.part(slice(start, stop)),
            texts=self.texts[start:stop],
        )
        return replace(part, prompt=self._prompt_before(start)) if start else part

    def _prompt_before(self, place: int) -> PromptEncoding:
        """What the model had read before that token, what it wrote itself included."""
        prompt, begin = self.prompt, self.reply_start
        again = prompt.open_reply
        asked = replace(
            prompt,
            ids=prompt.ids[:begin],
            spans=tuple(span for span in prompt.spans if span.end <= begin),
            open_reply=None,
        )
        ids = (*prompt.ids[begin:], *self.token_ids[:place])
        text = (again.text if again else "") + "".join(self.texts[:place])
        # The reply is no message of the prompt's yet, so it stands behind them all.
        message = 1 + max((span.message or 0 for span in asked.spans), default=0)
        return asked.going_on(message, ids, text)

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


def recorded(steps: Sequence[S]) -> Sequence[S]:
    """The steps up to the first that has no record: of a reply without traces none."""
    for number, step in enumerate(steps):
        if step.record is None:
            return steps[:number]
    return steps
