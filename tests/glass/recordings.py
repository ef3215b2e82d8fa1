"""Replies recorded by the real sampler on random rows, with the rows kept: what the law is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from glasschat.engine import Step
from glasschat.errors import ReplyFailed
from glasschat.glass import Trace
from glasschat.prompt import OpenReply, PromptEncoding, Span
from glasschat.sampling import (
    DEFAULT_ORDER,
    NO_STAGES,
    Columns,
    Sampler,
    SamplingParams,
    Stage,
    StageClasses,
    StageContext,
    TokenHistory,
    build_stages,
    draw,
)
from tests.sampling.rows import Row, make_row

PROMPT_IDS = (1, 0, 1, 5, 90_000)
"""With an id beyond the row, as added tokens of a prompt may be."""
END_IDS = frozenset({0, 2})


@dataclass(frozen=True, eq=False)
class Recording:
    """A trace, and the rows of logits that it was made from."""

    trace: Trace
    rows: tuple[Row, ...]
    constraint: Stage | None = None

    def history(self, place: int) -> TokenHistory:
        """What stood before the token of that place."""
        prompt = self.trace.prompt
        history = TokenHistory(prompt.ids[: self.trace.reply_start])
        for token_id in prompt.ids[self.trace.reply_start :]:
            history.append(token_id)
        for token_id in self.trace.token_ids[:place]:
            history.append(token_id)
        return history

    def stage_rows(self, params: SamplingParams, place: int) -> list[Row]:
        """The truth: the whole row, raw and behind every stage, the slow way.

        Raises ReplyFailed where a stage leaves nothing, as the sampler does.
        """
        scores = self.rows[place]
        found = [scores]
        seed = self.trace.seed if params.seed is None else params.seed
        context = StageContext(self.history(place), END_IDS, seed)
        stages = build_stages(params, self.trace.stage_classes.build)
        for stage in stages if self.constraint is None else (self.constraint, *stages):
            scores = stage(scores, context)
            if not np.isfinite(scores.max()):
                raise ReplyFailed(f"the stage {stage.name} left nothing")
            found.append(scores)
        return found

    def choice(self, params: SamplingParams, place: int) -> int:
        """The token that these settings choose, with the same draw."""
        last = self.stage_rows(params, place)[-1]
        if params.greedy:
            return int(last.argmax())
        return draw(last, float(self.trace.draws[place]))[0]


def record(
    rows: Sequence[Row],
    params: SamplingParams,
    *,
    earlier: Sequence[int] = (),
    forced: int = -1,
    classes: StageClasses = NO_STAGES,
    constraint: Stage | None = None,
) -> Recording:
    """A reply of one token a row; `forced` is the place of one that was chosen by hand."""
    size = len(rows[0])
    stages = build_stages(params, classes.build)
    sampler = Sampler(
        params,
        PROMPT_IDS,
        end_ids=END_IDS,
        vocab_size=size,
        reply_ids=earlier,
        stages=stages if constraint is None else (constraint, *stages),
    )
    steps = []
    for place, row in enumerate(rows):
        choice = sampler.force(row, size - 1) if place == forced else sampler.sample(row)
        steps.append(Step(choice.token_id, f"{choice.token_id} ", choice.record))
    span = (Span(0, len(PROMPT_IDS), "user", 0),)
    prompt = PromptEncoding(PROMPT_IDS, span).with_open_reply(1, earlier, "earlier")
    assert prompt.open_reply is None or isinstance(prompt.open_reply, OpenReply)
    trace = Trace(
        prompt=prompt,
        params=params,
        seed=sampler.seed,
        end_ids=END_IDS,
        vocab_size=size,
        columns=Columns.of([s.record for s in steps if s.record is not None]),
        texts=tuple(step.text for step in steps),
        stage_classes=classes,
    )
    return Recording(trace, tuple(rows), constraint)


def build(
    params: dict[str, Any], size: int, seeds: Sequence[int], kind: str, scale: float
) -> Recording:
    """Rows of one kind, recorded with these settings."""
    rows = [make_row(seed, size, kind, scale, 0.0) for seed in seeds]
    try:
        return record(rows, SamplingParams(**params), earlier=[3, 7, 3][: seeds[0] % 4])
    except ReplyFailed:  # the stages left nothing
        reject()


ORDERS = st.one_of(st.just(DEFAULT_ORDER), st.permutations(DEFAULT_ORDER).map(tuple))
SETTINGS = st.fixed_dictionaries(
    {"seed": st.integers(0, 2**64 - 1)},
    optional={
        "temperature": st.sampled_from([0.0, 0.3, 0.7, 1.0, 1.5, 3.0]),
        "dynatemp_range": st.sampled_from([0.0, 0.5, 2.0]),
        "dynatemp_exponent": st.sampled_from([1.0, 0.5, 3.0]),
        "top_k": st.sampled_from([0, 1, 5, 40, 64, 100]),
        "top_p": st.sampled_from([0.0, 0.3, 0.8, 0.95, 1.0]),
        "min_p": st.sampled_from([0.0, 0.05, 0.5, 1.0]),
        "typical_p": st.sampled_from([1.0, 0.3, 0.9]),
        "top_n_sigma": st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        "xtc_probability": st.sampled_from([0.0, 0.5, 1.0]),
        "xtc_threshold": st.sampled_from([0.001, 0.02, 0.1, 0.3, 0.6]),
        "repetition_penalty": st.sampled_from([1.0, 1.005, 1.3, 0.7]),
        "presence_penalty": st.sampled_from([0.0, 1.0, -0.5]),
        "frequency_penalty": st.sampled_from([0.0, 0.5, -0.3]),
        "dry_multiplier": st.sampled_from([0.0, 1.0]),
        "dry_allowed_length": st.sampled_from([1, 2]),
        "dry_sequence_breakers": st.just(()),
        "no_repeat_ngram_size": st.sampled_from([0, 1, 2, 3]),
        "min_new_tokens": st.sampled_from([0, 4]),
        "ignore_eos": st.booleans(),
        "stop_token_ids": st.sampled_from([(), (4,)]),
        "logit_bias": st.sampled_from([{}, {3: 2.0, 9: -5.0}, {1: float("-inf"), 6: 8.0}]),
        "do_sample": st.booleans(),
        "stages": ORDERS,
    },
)
RECORDINGS = st.builds(
    build,
    SETTINGS,
    st.sampled_from([20, 64, 66, 300, 2500]),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
    st.sampled_from(["normal", "tied", "peaked", "equal"]),
    st.sampled_from([0.01, 1.0, 3.0, 20.0]),
)


def speaking_row(seed: int, size: int = 20_000) -> Row:
    """A row as a language model's: a few good candidates, and a tail that falls with the rank."""
    random = np.random.default_rng(seed)
    steep = random.uniform(1.6, 3.0)
    row = 15.0 - steep * np.log1p(np.arange(size)) + random.normal(0, 0.7, size)
    return random.permutation(row).astype(np.float32)
