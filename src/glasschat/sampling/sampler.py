"""Logits to a token: one request's stages, draws and records."""

import math
import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.errors import ParameterError, ReplyFailed
from glasschat.sampling.distribution import Distribution, Ids, Row
from glasschat.sampling.draw import FEW, draw, probability_of
from glasschat.sampling.history import TokenHistory
from glasschat.sampling.params import SamplingParams
from glasschat.sampling.pipeline import build_stages
from glasschat.sampling.stages import Stage, StageContext
from glasschat.sampling.trace import TOP_CANDIDATES, StageRecord, StepRecord

# A script on a page reads integers up to 2**53 exactly, and the seed is there to be copied.
_FRESH_SEED_BITS = 53

# glibc gives the pages of a freed row back to the system and faults them in again at every step,
# which doubles the time of a choice, until it has once seen a larger block freed.
_LARGER_THAN_ALL_ROWS = 16 * 2**20

# A difference from the total keeps enough digits while this share of it is left.
_DIGITS_LEFT = 1e-2

_MODEL = "the model's logits"
_MODEL_REMEDY = "try again, or load another file of this model"
_STAGE_REMEDY = "set it milder or turn it off"


class Choice(NamedTuple):
    """The token chosen, and how; no record when traces are off or there was no row."""

    token_id: int
    record: StepRecord | None


class Sampler:
    """Chooses the tokens of one reply. It owns the reply's random generator and its history.

    Each sampled token takes one number from the generator, whatever the settings and however
    many candidates are left; greedy and forced tokens take none. So the i-th draw of a seed goes
    to the i-th sampled token, whoever else is being served.

    `stages`, when given, replaces those that `params` asks for; a greedy reply runs the
    processors among them.
    """

    def __init__(
        self,
        params: SamplingParams,
        prompt_ids: Iterable[int],
        *,
        end_ids: Iterable[int],
        vocab_size: int,
        trace: bool = True,
        stages: Sequence[Stage] | None = None,
    ) -> None:
        """`vocab_size` is the length of a row of logits.

        Raises ParameterError when a bias or a stop token lies beyond the vocabulary.
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
        self._generator = np.random.Generator(np.random.PCG64(self.seed))
        self._end_ids = frozenset(end_ids)
        np.empty(_LARGER_THAN_ALL_ROWS, np.uint8)

    def sample(self, row: NDArray[np.float32]) -> Choice:
        """Choose the next token and append it to the history.

        `row` is float32 [vocab_size], the raw logits; it is read only and not kept. Raises
        ReplyFailed when it holds a NaN or an infinity, or when the stages leave nothing to
        choose from, and then neither draws nor appends.
        """
        raw, run = self._run(row)
        probability, u = math.nan, None
        if self.params.greedy:
            token_id = int(run.scores.argmax())
            if raw is not None:
                probability = probability_of(run.scores, token_id)
        else:
            u = self._generator.random()
            token_id, probability = draw(run.scores, u, run.candidates)
        record = None
        if raw is not None:
            record = _record(raw, token_id, probability, u, False, run.records)
        self.history.append(token_id)
        return Choice(token_id, record)

    def force(self, row: NDArray[np.float32] | None, token_id: int) -> Choice:
        """Append a token chosen by hand. It takes no number from the generator.

        Its record has `forced` set, no draw, and the probability that the stages left it, which
        is 0 if they removed it. Without a `row` there is no record.

        Raises ParameterError for an id beyond the vocabulary, ReplyFailed as `sample` does.
        """
        if not 0 <= token_id < self.vocab_size:
            raise ParameterError("token_id", f"between 0 and {self.vocab_size - 1}", token_id)
        record = None
        if row is not None:
            # The stages run with traces off too, so that a row fails or not whatever the traces.
            raw, run = self._run(row)
            if raw is not None:
                probability = probability_of(run.scores, token_id)
                record = _record(raw, token_id, probability, None, True, run.records)
        self.history.append(token_id)
        return Choice(token_id, record)

    def _run(self, row: NDArray[np.float32]) -> tuple[Distribution | None, "_Run"]:
        """The raw row's distribution when traces are on, and what the stages made of the row."""
        raw: Row = np.asarray(row, np.float32).view()
        raw.flags.writeable = False
        if raw.shape != (self.vocab_size,):
            raise ReplyFailed(
                f"the model gave logits of shape {raw.shape} "
                f"and its vocabulary is {self.vocab_size} tokens: load the model again"
            )
        context = StageContext(self.history, self._end_ids)
        if not self.trace:
            _check_peak(float(raw.max()), _MODEL, _MODEL_REMEDY)
            return None, _run_stages(self.stages, raw, context)
        whole = context.distribution(raw)
        _check_peak(whole.maximum, _MODEL, _MODEL_REMEDY)
        return whole, _run_stages_recorded(self.stages, raw, context)


class _Run(NamedTuple):
    """The final row, and with traces on the ids left in it (None: all) and the stages' records."""

    scores: Row
    candidates: Ids | None = None
    records: tuple[StageRecord, ...] = ()


def _run_stages(stages: Sequence[Stage], scores: Row, context: StageContext) -> _Run:
    for stage in stages:
        scores = _run_stage(stage, scores, context)
    return _Run(scores)


def _run_stages_recorded(stages: Sequence[Stage], scores: Row, context: StageContext) -> _Run:
    records: list[StageRecord] = []
    kept = int(np.count_nonzero(scores > -np.inf))
    candidates: Ids | None = None
    for stage in stages:
        before, scores = scores, _run_stage(stage, scores, context)
        mass = 1.0
        if scores is not before:
            alive = scores > -np.inf
            left = int(np.count_nonzero(alive))
            candidates = np.flatnonzero(alive) if left <= FEW else None
            if left != kept:
                mass = _mass(context.distribution(before), alive, candidates, kept - left)
                kept = left
        records.append(StageRecord(stage.name, kept, mass))
    return _Run(scores, candidates, tuple(records))


def _run_stage(stage: Stage, scores: Row, context: StageContext) -> Row:
    after = stage(scores, context)
    if after is not scores:
        after.flags.writeable = False  # a later stage that writes to it fails at once
        _check_peak(float(after.max()), f"the stage {stage.name}", _STAGE_REMEDY)
    return after


def _mass(
    before: Distribution, alive: NDArray[np.bool_], candidates: Ids | None, gone: int
) -> float:
    """The share of the softmax of the stage's input that is left alive; `gone` tokens are not.

    `candidates` are the ids left alive, if they are known.
    """
    if candidates is None and gone <= FEW:  # quicker to count than those that stay
        removed = np.flatnonzero(~alive & (before.scores > -np.inf))
        left = before.total - float(before.weights(removed).sum())
        if left > _DIGITS_LEFT * before.total:
            return left / before.total
    stayed = np.flatnonzero(alive) if candidates is None else candidates
    left = float(before.weights(stayed).sum())
    if left == 0.0:  # less than float32 holds: the likeliest went, and the rest is far below
        values = before.scores[stayed].astype(np.float64)
        left = float(np.exp(values - before.maximum).sum())
    return min(1.0, left / before.total)


def _record(
    raw: Distribution,
    token_id: int,
    probability: float,
    u: float | None,
    forced: bool,
    stages: tuple[StageRecord, ...],
) -> StepRecord:
    top = raw.candidates(TOP_CANDIDATES)[:TOP_CANDIDATES]
    found = np.flatnonzero(top == token_id)
    return StepRecord(
        token_id=token_id,
        logit=float(raw.scores[token_id]),
        logsumexp=raw.logsumexp,
        entropy=raw.entropy,
        rank=int(found[0]) if found.size else _rank(raw.scores, token_id),
        probability=probability,
        u=u,
        forced=forced,
        top_ids=top.astype(np.int32),
        top_logits=raw.scores[top],
        stages=stages,
    )


def _rank(scores: Row, token_id: int) -> int:
    """How many tokens come before `token_id`: those above it, and equals of a lower id."""
    logit = scores[token_id]
    above = np.count_nonzero(scores > logit)
    return int(above + np.count_nonzero(scores[:token_id] == logit))


def _check_peak(peak: float, source: str, remedy: str) -> None:
    """Refuse a row by its maximum, which is NaN or infinite if the row cannot be drawn from."""
    if math.isfinite(peak):
        return
    if math.isnan(peak):
        raise ReplyFailed(f"{source} held a NaN, which is not a number: {remedy}")
    if peak > 0:
        raise ReplyFailed(f"{source} held an infinite score: {remedy}")
    raise ReplyFailed(f"{source} left no token to choose from: {remedy}")


def _check_inside(name: str, ids: Iterable[int], vocab_size: int) -> None:
    for token_id in ids:
        if token_id >= vocab_size:
            raise ParameterError(
                name, f"of token ids below the vocabulary size {vocab_size}", token_id
            )
