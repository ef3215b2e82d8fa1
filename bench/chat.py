"""Eight-turn chat, against llama-server and the original's algorithm."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from bench.config import QUESTIONS, BenchConfig, finish, reply_of
from bench.report import Report, compare
from bench.rivals import LlamaServer, measure_original_chat
from glasschat.backends import LocalBackend
from glasschat.errors import MissingExtra
from glasschat.prompt import ChatMessage

TOKENS = 128
CONTEXT = 4096
RUNS = 3
SLOTS = 4

Turns = list[tuple[float, float]]
"""Seconds to the first token and decoded tokens per second, turn by turn."""


def measure_chat(setting: BenchConfig, report: Report, say: Callable[[str], None]) -> None:
    """Measure time to first token and decode at every turn."""
    plan = setting.plan
    ours: list[Turns] = []
    theirs: list[Turns] = []
    rivals = setting.llama_server(slots=SLOTS, context=CONTEXT)
    with setting.backend(slots=SLOTS, context=CONTEXT) as backend, rivals as rival:
        for run in range(RUNS):
            say(f"chat: run {run + 1} of {RUNS}")
            system = f"You are a helpful assistant. This is conversation number {run}."
            ours.append(our_turns(backend, system, TOKENS))
            theirs.append(_server(rival, system))
    compare_turns(report, ours, "llama-server", theirs, first=1.0, decode=1.2)
    report.details["chat"] = {"ours": ours, "llama-server": theirs}
    dtypes: Sequence[Literal["float32", "bfloat16"]] = ("float32", "bfloat16")
    for dtype in dtypes:
        say(f"chat: the original's algorithm, {dtype}")
        name = f"the original on transformers, {dtype}"
        try:
            chat = measure_original_chat(
                plan.path, QUESTIONS, TOKENS, dtype=dtype, threads=plan.threads
            )
        except MissingExtra as error:
            report.skipped[name] = str(error)
            continue
        original: Turns = [(turn.ttft_s, turn.decode_tps) for turn in chat.turns]
        compare_turns(report, ours[:1], name, [original], first=None, decode=None)
        report.details["chat"][name] = original


def compare_turns(
    report: Report,
    ours: list[Turns],
    rival: str,
    theirs: list[Turns],
    *,
    first: float | None,
    decode: float | None,
) -> None:
    """Add the last turn's figures; `first` and `decode` are the targets."""
    last = len(QUESTIONS) - 1
    report.figures += [
        compare(
            "turn 8, time to first token",
            "s",
            [turns[last][0] for turns in ours],
            rival,
            [turns[last][0] for turns in theirs],
            target=first,
            less_is_better=True,
        ),
        compare(
            "turn 8, decode",
            "tokens/s",
            [turns[last][1] for turns in ours],
            rival,
            [turns[last][1] for turns in theirs],
            target=decode,
        ),
    ]


def our_turns(backend: LocalBackend, system: str, tokens: int) -> Turns:
    """Run the chat on our engine; replies go back as the ids that they were."""
    messages = [ChatMessage("system", system)]
    turns: Turns = []
    for number, question in enumerate(QUESTIONS):
        messages.append(ChatMessage("user", question))
        generation = finish(backend.start(messages, reply_of(tokens, seed=number)))
        messages.append(generation.message())
        timings = generation.snapshot().timings
        assert timings.ttft_s is not None
        assert timings.decode_tps is not None
        turns.append((timings.ttft_s, timings.decode_tps))
    return turns


def _server(rival: LlamaServer, system: str) -> Turns:
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
    turns: Turns = []
    for number, question in enumerate(QUESTIONS):
        messages.append({"role": "user", "content": question})
        reply = rival.chat(messages, TOKENS, seed=number)
        messages.append({"role": "assistant", "content": reply.text})
        turns.append((reply.ttft_s, reply.decode_tps))
    return turns
