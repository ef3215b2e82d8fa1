"""Sampler: from a row of logits to a token, with one request's stages, draws and records."""

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.errors import ParameterError, ReplyFailed
from glasschat.messages import Message
from glasschat.sampling.distribution import Distribution, Ids
from glasschat.sampling.draw import probability_of
from glasschat.sampling.history import TokenHistory
from glasschat.sampling.params import SamplingParams
from glasschat.sampling.pipeline import build_stages
from glasschat.sampling.short_row import ShortRow, run_short_row
from glasschat.sampling.shortlist import make_shortlist
from glasschat.sampling.stages import ShortStage, Stage, StageContext
from glasschat.sampling.trace import (
    MODEL,
    MODEL_REMEDY,
    TOP_CANDIDATES,
    StepRecord,
    check_peak,
    make_record,
)
from glasschat.sampling.whole_row import WholeRow, run_whole_row
from glasschat.sampling.workspace import Row, is_quiet, quiet_arithmetic

# A script on a page reads integers up to 2**53 exactly, and the seed is there to be copied.
_FRESH_SEED_BITS = 53


class Choice(NamedTuple):
    """The chosen token and its record; `record` is None when traces are off or there was no row."""

    token_id: int
    record: StepRecord | None


class Sampler:
    """Chooses the tokens of one reply, with the reply's own random generator and token history.

    The i-th token of the reply has the i-th random number of the seed, whatever the settings and
    whatever else is being served. A token that is forced, or taken as the likeliest, leaves its
    number unused. So a reply that is continued later, or in which one token was chosen by hand,
    goes on with the draws that it would have had.

    `stages`, when given, replaces those that `params` asks for; a greedy reply runs only the
    processors among them.
    """

    def __init__(
        self,
        params: SamplingParams,
        prompt_ids: Iterable[int],
        *,
        end_ids: Iterable[int],
        vocab_size: int,
        reply_ids: Sequence[int] = (),
        trace: bool = True,
        stages: Sequence[Stage] | None = None,
    ) -> None:
        """Build the stages, and fill the history with the prompt and the reply so far.

        `vocab_size` is the length of a row of logits; `reply_ids` are the tokens that the reply has
        already. Raises ParameterError when a bias or a stop token lies beyond the vocabulary.
        """
        _check_inside("logit_bias", params.logit_bias, vocab_size)
        _check_inside("stop_token_ids", params.stop_token_ids, vocab_size)
        chosen = build_stages(params) if stages is None else stages
        self.params = params
        self.vocab_size = vocab_size
        self.trace = trace
        self.stages: tuple[Stage, ...] = tuple(
            s for s in chosen if not (params.greedy and s.kind == "warper")
        )
        self.seed = secrets.randbits(_FRESH_SEED_BITS) if params.seed is None else params.seed
        self.history = TokenHistory(prompt_ids)
        for token_id in reply_ids:
            self.history.append(token_id)
        self._draws = np.random.PCG64(self.seed).advance(len(reply_ids))
        self._generator = np.random.Generator(self._draws)
        self._number: float | None = None
        self._end_ids = frozenset(end_ids)
        self._short_stages = _all_short(self.stages)

    def sample(self, row: NDArray[np.float32]) -> Choice:
        """Choose the next token and append it to the history.

        `row` is float32 [vocab_size], the raw logits; it is only read, and not kept. Raises
        ReplyFailed when it has the wrong shape, when it holds a NaN or an infinity, or when the
        stages leave no token to choose from. Then nothing is drawn and nothing appended.
        """
        choice = self._quietly(row, trace=self.trace)
        self._take(choice.token_id)
        return choice

    def preview(self, row: NDArray[np.float32]) -> StepRecord:
        """Return the record of what `sample` would choose now; draw nothing and append nothing.

        It works with traces off too. Raises ReplyFailed as `sample` does.
        """
        record = self._quietly(row, trace=True).record
        assert record is not None
        return record

    def _quietly(self, row: NDArray[np.float32], *, trace: bool) -> Choice:
        if is_quiet():
            return self._choose(row, trace)
        with quiet_arithmetic():
            return self._choose(row, trace)

    def _choose(self, row: NDArray[np.float32], trace: bool) -> Choice:
        raw, context = self._read(row)
        likeliest = raw.candidates(TOP_CANDIDATES)
        # First of all: what it computes on the way is asked for again and again.
        tail = raw.tail(likeliest[:TOP_CANDIDATES], self.history.seen) if trace else None
        run: ShortRow | WholeRow | None = self._run_short(raw, likeliest, context, trace)
        if run is None:
            run = self._run_whole(raw, context, trace)
        u = None if self.params.greedy else self._due()
        chosen = run.likeliest(probability=trace) if u is None else run.draw(u)
        if chosen is None:
            run = self._run_whole(raw, context, trace)
            chosen = run.likeliest(probability=trace) if u is None else run.draw(u)
        token_id, probability = chosen
        record = None
        if tail is not None:
            record = make_record(raw, likeliest, tail, token_id, probability, u, run.records)
        return Choice(token_id, record)

    def _due(self) -> float:
        """Return the random number of the next token: the same one until the token is appended."""
        if self._number is None:
            self._number = self._generator.random()
        return self._number

    def _take(self, token_id: int) -> None:
        self._number = None
        self.history.append(token_id)

    def force(self, row: NDArray[np.float32] | None, token_id: int) -> Choice:
        """Append a token chosen by hand, and skip the random number that was due to it.

        Its record has `forced` set, no draw, and the probability that the stages left it, which is
        0 if they removed it. Without a `row` (float32 [vocab_size]) there is no record.

        Raises ParameterError for an id beyond the vocabulary, ReplyFailed as `sample` does.
        """
        if not 0 <= token_id < self.vocab_size:
            raise ParameterError(
                "token_id",
                Message("between 0 and {vocab_size}", vocab_size=self.vocab_size - 1),
                token_id,
            )
        record = None
        if row is not None:
            # The stages run with traces off too, so that a row fails or not whatever the traces.
            with quiet_arithmetic():
                record = self._forced(row, token_id)
        if self._number is None:
            self._draws.advance(1)
        self._take(token_id)
        return Choice(token_id, record)

    def _forced(self, row: NDArray[np.float32], token_id: int) -> StepRecord | None:
        raw, context = self._read(row)
        run = self._run_whole(raw, context, self.trace)
        if not self.trace:
            return None
        likeliest = raw.candidates(TOP_CANDIDATES)
        tail = raw.tail(likeliest[:TOP_CANDIDATES], self.history.seen)
        probability = probability_of(run.scores, token_id)
        return make_record(
            raw, likeliest, tail, token_id, probability, None, run.records, forced=True
        )

    def _read(self, row: NDArray[np.float32]) -> tuple[Distribution, StageContext]:
        """Check the raw row; return its distribution and the context of the stages.

        Raises ReplyFailed for a wrong shape, a NaN or an infinity.
        """
        scores: Row = np.asarray(row, np.float32).view()
        scores.flags.writeable = False
        if scores.shape != (self.vocab_size,):
            raise ReplyFailed(
                "the model gave logits of shape {shape} and its vocabulary is {vocab_size} "
                "tokens: load the model again",
                shape=scores.shape,
                vocab_size=self.vocab_size,
            )
        raw = Distribution(scores)
        check_peak(raw.maximum, MODEL, MODEL_REMEDY)
        return raw, StageContext(self.history, self._end_ids, self.seed, [raw])

    def _run_whole(self, raw: Distribution, context: StageContext, trace: bool) -> WholeRow:
        return run_whole_row(self.stages, raw.scores, context, trace=trace)

    def _run_short(
        self, raw: Distribution, likeliest: Ids, context: StageContext, trace: bool
    ) -> ShortRow | None:
        if self._short_stages is None or (trace and not raw.whole):
            return None
        touched = [context.touched_by(s) for s in self._short_stages if s.kind == "processor"]
        shortlist = make_shortlist(raw, likeliest, [ids for ids in touched if len(ids)])
        if shortlist is None:
            return None
        logsumexp = raw.logsumexp if trace else None
        return run_short_row(self._short_stages, shortlist, context, logsumexp)


def _all_short(stages: Sequence[Stage]) -> tuple[ShortStage, ...] | None:
    """Return the stages if all of them can run on a shortlist, else None."""
    short = tuple(s for s in stages if isinstance(s, ShortStage))
    return short if len(short) == len(stages) else None


def _check_inside(name: str, ids: Iterable[int], vocab_size: int) -> None:
    for token_id in ids:
        if token_id >= vocab_size:
            raise ParameterError(
                name,
                Message(
                    "of token ids below the vocabulary size {vocab_size}", vocab_size=vocab_size
                ),
                token_id,
            )
