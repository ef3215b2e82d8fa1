"""Sampled replies of the engine follow the distribution of transformers' generate.

Stages and draw are held to transformers elsewhere, one by one; here the whole road is, from the
prompt to the third token, on one tiny model with all the usual settings on.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from glasschat.engine import Engine
from glasschat.models.base import Model, ModelInfo
from glasschat.models.scripted import END, ScriptedTokenizer
from glasschat.sampling import SamplingParams
from tests.support.hf_families import CONTEXT, ours, stock

PROMPT = [*b"Say it"]
REPLIES = 1200
THEIRS = 20_000
LENGTH = 3
Replies = list[tuple[int, ...]]
SETTINGS = {"temperature": 0.9, "top_k": 12, "top_p": 0.9, "repetition_penalty": 1.3}


def ours_of(model: Any) -> Replies:
    info = ModelInfo("tiny", Path("tiny"), "llama", "float32", 0, 0, CONTEXT, 260)
    with Engine(
        Model(info, ScriptedTokenizer(), ours(model, slots=16)), max_waiting=REPLIES
    ) as engine:
        generations = [
            engine.submit(
                PROMPT,
                SamplingParams(seed=seed, max_new_tokens=LENGTH, **SETTINGS),
                trace=False,
            )
            for seed in range(REPLIES)
        ]
        for generation in generations:
            generation.result(120)
        return [tuple(step.token_id for step in generation.steps()) for generation in generations]


@pytest.fixture(scope="module")
def replies() -> tuple[Replies, Replies]:
    """Of our engine, and of generate."""
    model = stock("llama", vocab_size=260, eos_token_id=END)
    return ours_of(model), theirs_of(model)


def theirs_of(model: Any) -> Replies:
    torch.manual_seed(0)
    with torch.inference_mode():
        replies = model.generate(
            torch.tensor([PROMPT]),
            do_sample=True,
            num_return_sequences=THEIRS,
            max_new_tokens=LENGTH,
            eos_token_id=END,
            pad_token_id=END,
            **SETTINGS,
        )
    # What comes after an end token is padding.
    return [
        tuple(reply[: (*reply, END).index(END) + 1]) for reply in replies[:, len(PROMPT) :].tolist()
    ]


@pytest.mark.parametrize("tokens", [slice(0, 1), slice(0, 2), slice(1, 2), slice(2, 3)])
def test_sampled_replies_follow_the_distribution_of_generate(
    tokens: slice, replies: tuple[Replies, Replies]
) -> None:
    """A chi-square whose bound chance exceeds once in a million; 0.2 to 0.7 of it are seen.

    A temperature of 1.1 for 0.9 gives 1.8, top-p 0.75 for 0.9 gives 3.7.
    """
    us, them = (Counter(reply[tokens] for reply in side) for side in replies)
    assert distance(us, them) < 1.0


def distance(us: Counter[tuple[int, ...]], them: Counter[tuple[int, ...]]) -> float:
    """Chi-square as a share of what chance exceeds once in a million (Wilson and Hilferty)."""
    expected = {reply: count * REPLIES / THEIRS for reply, count in them.items()}
    common = [reply for reply, count in expected.items() if count >= 5]
    bins = [(us[reply], expected[reply]) for reply in common]
    bins.append((REPLIES - sum(n for n, _ in bins), REPLIES - sum(e for _, e in bins)))
    # The expectation is a sample too.
    square = sum((n - e) ** 2 / e for n, e in bins if e > 0) / (1 + REPLIES / THEIRS)
    free = len(common)
    assert free >= 5, "too few kinds of reply to tell anything"
    most: float = free * (1 - 2 / (9 * free) + 4.75 * (2 / (9 * free)) ** 0.5) ** 3
    return square / most
