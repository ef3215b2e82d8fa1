"""The trace of a reply: its prompt, its settings, and how each token was chosen."""

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
    logits. `columns` has a row for each of the `n` tokens, `texts` what each released. A reply that
    was continued has a trace for each run; the earlier part of the reply is at the end of `prompt`.
    Custom stages that it had can run again where their classes are among `stage_classes`. Classes
    are not stored with a trace: set them with `dataclasses.replace`.
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
        """Return the trace of a reply so far; None if it has no records, or none yet."""
        snapshot, request = generation.snapshot(), generation.request
        steps = recorded_steps(generation.steps())
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
        return empty._append(steps)

    def extend(self, generation: Generation) -> "Trace":
        """Return the trace with the new tokens of the same reply; costs what is new of it."""
        steps = recorded_steps(generation.steps(len(self)))
        return self._append(steps) if steps else self

    def _append(self, steps: Sequence[Step]) -> "Trace":
        new = Columns.of([step.record for step in steps if step.record is not None])
        columns = Columns.joined([self.columns, new]) if len(self) else new
        return replace(self, columns=columns, texts=(*self.texts, *(s.text for s in steps)))

    def __len__(self) -> int:
        return len(self.columns)

    def at(self, place: int) -> "Trace":
        """Return the token at `place` alone, 0 the first of this run. Raises IndexError."""
        if not 0 <= place < len(self):
            raise IndexError(f"the reply has {len(self)} tokens and no place {place}")
        return self.part(place, place + 1)

    def part(self, start: int, stop: int) -> "Trace":
        """Return the tokens from `start` up to `stop` alone, with their draws.

        Those before become the earlier part of the reply, as if the run had continued at `start`.
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
        """Return what the model had read before that token, its own reply included."""
        prompt, begin = self.prompt, self.reply_start
        open_reply = prompt.open_reply
        question = replace(
            prompt,
            ids=prompt.ids[:begin],
            spans=tuple(span for span in prompt.spans if span.end <= begin),
            open_reply=None,
        )
        ids = (*prompt.ids[begin:], *self.token_ids[:place])
        text = (open_reply.text if open_reply else "") + "".join(self.texts[:place])
        # The reply is no message of the prompt's yet, so it stands behind them all.
        message = 1 + max((span.message or 0 for span in question.spans), default=0)
        return question.with_open_reply(message, ids, text)

    def record(self, place: int) -> StepRecord:
        """Return how the token at `place` was chosen, 0 the first of this run."""
        return self.columns.record(place)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids of this run's tokens."""
        return tuple(self.columns.token_id.tolist())

    @property
    def text(self) -> str:
        """The text of this run."""
        return "".join(self.texts)

    @property
    def reply_start(self) -> int:
        """The number of ids of `prompt` that come before the reply."""
        open_reply = self.prompt.open_reply
        return len(self.prompt.ids) - (open_reply.tokens if open_reply else 0)

    @property
    def earlier(self) -> int:
        """The number of tokens that the reply had before this run."""
        return len(self.prompt.ids) - self.reply_start

    @cached_property
    def draws(self) -> NDArray[np.float64]:
        """The seed's draws for the places of this run, float64 [n] in [0, 1), unused ones too."""
        return self.draws_of(self.seed)

    def draws_of(self, seed: int) -> NDArray[np.float64]:
        """Return the draws of another seed for the same places, float64 [n] in [0, 1)."""
        return seeded_draws(seed, self.earlier, len(self))


def recorded_steps(steps: Sequence[S]) -> Sequence[S]:
    """Return the steps up to the first that has no record: none for a reply without traces."""
    for number, step in enumerate(steps):
        if step.record is None:
            return steps[:number]
    return steps
