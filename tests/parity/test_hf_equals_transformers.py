"""Our token loop over slots against transformers' generate, on the real weights in float32."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from glasschat.engine import Engine, FinishReason
from glasschat.models.base import ForwardRow, Model, ModelInfo
from glasschat.models.hf.folder import read_folder
from glasschat.models.hf.runner import HfRunner
from glasschat.models.hf.tokenizer import HfTokenizer
from glasschat.models.hf.weights import load_weights
from glasschat.models.memory import usable_cores
from glasschat.prompt import ChatMessage, ChatTemplate
from glasschat.sampling import SamplingParams

pytestmark = pytest.mark.parity
QUESTIONS = (
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain recursion with a short Python example.",
    "List three prime numbers and say why they are prime.",
    "Übersetze 'good morning' ins Deutsche. 你好!",
    "Why is the sky blue?",
    "Give me a recipe for pancakes.",
    "Who wrote Hamlet, and when?",
)
TOKENS = 64
GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=TOKENS)
# Seen are 8e-5; the two likeliest tokens of a row lie 0.03 apart at the least in these replies.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def engine(smollm2_folder_f32: Path) -> Iterator[Engine]:
    folder = read_folder(smollm2_folder_f32)
    module: Any = load_weights(folder, device="cpu", dtype="float32")
    tokenizer = HfTokenizer(folder.path)
    info = ModelInfo(
        folder.name, folder.path, folder.model_type, folder.dtype, folder.parameters,
        folder.weight_bytes, folder.train_context, folder.vocab_size,
    )  # fmt: skip
    runner = HfRunner(module, slots=8, context=512, device="cpu", vocab_size=tokenizer.vocab_size)
    with Engine(Model(info, tokenizer, runner)) as engine:
        yield engine


@pytest.fixture(scope="module", autouse=True)
def all_cores() -> Iterator[None]:
    """For this thread, whatever tests of tiny models have set."""
    before = torch.get_num_threads()
    torch.set_num_threads(usable_cores())
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference(smollm2_folder_f32: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(smollm2_folder_f32, dtype=torch.float32).eval()


def prompt_ids(engine: Engine, question: str) -> list[int]:
    return list(ChatTemplate(engine.model.tokenizer).encode([ChatMessage("user", question)]).ids)


def generate(reference: Any, prompts: Sequence[Sequence[int]], ends: list[int]) -> list[list[int]]:
    """All at once, padded on the left, as transformers wants it; without what follows an end."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in prompts])
    there = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    with torch.inference_mode():
        replies = reference.generate(
            ids, attention_mask=there, do_sample=False, max_new_tokens=TOKENS,
            eos_token_id=ends, pad_token_id=ends[0],
        )[:, longest:].tolist()  # fmt: skip
    lengths = [next((i + 1 for i, t in enumerate(r) if t in ends), len(r)) for r in replies]
    return [reply[:length] for reply, length in zip(replies, lengths, strict=True)]


@pytest.mark.slow
def test_greedy_replies_equal_generate(engine: Engine, reference: Any) -> None:
    """Eight prompts at once, admitted one after the other, in chunks beside those that decode."""
    prompts = [prompt_ids(engine, question) for question in QUESTIONS]
    generations = [engine.submit(ids, GREEDY) for ids in prompts]
    for generation in generations:
        reason = generation.result(240).finish_reason
        assert reason in (FinishReason.STOP, FinishReason.LENGTH)
    theirs = generate(reference, prompts, sorted(engine.model.tokenizer.end_ids))
    for question, generation, reply in zip(QUESTIONS, generations, theirs, strict=True):
        assert [step.token_id for step in generation.steps()] == reply, question


def test_logits_equal_those_of_a_plain_forward(engine: Engine, reference: Any) -> None:
    """Also on what an earlier turn left in the slot, and on a prefix of somebody else's."""
    runner = engine.model.runner
    ids = prompt_ids(engine, QUESTIONS[2]) * 4
    with torch.inference_mode():
        expected = reference(input_ids=torch.tensor([ids]), use_cache=False).logits[0].numpy()
    assert len(ids) > 150
    for slot in range(3):
        runner.truncate(slot, 0)
    ends = (5, 100, 101, len(ids) - 1)
    start = 0
    for end in ends:
        row = runner.forward([ForwardRow(0, start, ids[start:end], True)])[0]
        assert np.abs(row - expected[end - 1]).max() < TOLERANCE
        start = end
    runner.truncate(0, 150)
    runner.copy_prefix(0, 2, 120)
    rows = [ForwardRow(0, 150, ids[150:], True), ForwardRow(2, 120, ids[120:140], True)]
    after, copied = runner.forward(rows)
    assert np.abs(after - expected[-1]).max() < TOLERANCE
    assert np.abs(copied - expected[139]).max() < TOLERANCE
    saved = runner.save(2)
    assert saved is not None and saved.nbytes > 140 * 1000
    assert runner.restore(1, saved)
    restored = runner.forward([ForwardRow(1, 140, ids[140:], True)])[0]
    assert np.abs(restored - expected[-1]).max() < TOLERANCE
