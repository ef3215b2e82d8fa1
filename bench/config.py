"""Configuration of every benchmark: the model, the threads, and how to run our engine on it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.rivals import LlamaServer, llama_server
from glasschat.backends import LocalBackend
from glasschat.engine import Generation, Reply
from glasschat.models.hf.load import HfPlan
from glasschat.models.load import LoadPlan, load_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams

if TYPE_CHECKING:
    from glasschat.models.llama_cpp.load import GgufPlan

QUESTIONS = (
    "Why is the sky blue?",
    "And why is it red in the evening?",
    "Explain how a rainbow comes about.",
    "What does a prism do to white light?",
    "Who found that out, and how?",
    "How does a camera see colours?",
    "Why do screens use red, green and blue?",
    "Sum up what we have talked about.",
)


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """Model and threads of a benchmark, the same for glasschat and its rivals."""

    plan: LoadPlan

    @property
    def gguf(self) -> "GgufPlan":
        """Return the plan of a GGUF, for the comparisons with llama.cpp."""
        assert not isinstance(self.plan, HfPlan)
        return self.plan

    def with_dtype(self, dtype: str) -> "BenchConfig":
        """Return the configuration of the same model folder computed in `dtype`."""
        assert isinstance(self.plan, HfPlan)
        return BenchConfig(replace(self.plan, dtype=dtype))

    @contextmanager
    def backend(self, slots: int, context: int) -> Iterator[LocalBackend]:
        """Run our engine, loaded and warm, with the same threads throughout, as the rivals have."""
        plan = replace(self.plan, slots=slots, context=context, adaptive=False)
        backend = LocalBackend(lambda progress: load_model(plan, progress), name="bench")
        with backend:
            backend.load()
            finish(backend.start([ChatMessage("user", "Hello!")], reply_of(8)))
            yield backend

    def llama_server(self, slots: int, context: int) -> AbstractContextManager[LlamaServer]:
        """Run llama-server with the same model, threads, slots and context."""
        plan = self.gguf
        return llama_server(
            plan.path,
            context=context,
            slots=slots,
            threads=plan.threads,
            batch_threads=plan.threads,
            gpu_layers=plan.gpu_layers,
        )


def reply_of(tokens: int, seed: int = 0) -> SamplingParams:
    """Return the default settings with a reply of exactly `tokens` tokens."""
    return SamplingParams(seed=seed, ignore_eos=True, max_new_tokens=tokens)


def finish(generation: Generation) -> Generation:
    """Wait for the end of a reply and return it."""
    generation.result()
    return generation


def decode_tps(generation: Reply) -> float:
    """Return tokens per second after the first, of a finished reply."""
    speed = generation.result().timings.decode_tps
    assert speed is not None
    return speed


def throughput(backend: LocalBackend, prompts: Sequence[Sequence[int]], tokens: int) -> float:
    """Return total tokens per second of replies begun at once, at the default settings.

    A reply may end before `tokens`; what there is of it counts.
    """
    return total_tps(backend, prompts, SamplingParams(max_new_tokens=tokens))


def total_tps(
    backend: LocalBackend, prompts: Sequence[Sequence[int]], params: SamplingParams
) -> float:
    """Return total tokens/s of replies begun at once, from submission to the last end."""
    started = time.perf_counter()
    generations = [
        backend.engine.submit(prompt, replace(params, seed=seed))
        for seed, prompt in enumerate(prompts)
    ]
    total = sum(len(finish(generation).steps()) for generation in generations)
    return total / (time.perf_counter() - started)
