"""Batched decode of several replies at once, against llama-server."""

from collections.abc import Callable

from bench.config import BenchConfig, throughput
from bench.report import Report, compare
from glasschat.prompt import ChatMessage

HEROES = (
    "a lighthouse keeper",
    "a fox in the snow",
    "a lost letter",
    "a watchmaker",
    "two sisters at sea",
    "a very old tree",
    "a night train",
    "a village without a clock",
)
TOKENS = 128
CONTEXT = 2048
SLOTS = 8
RUNS = 5
TARGETS = {1: None, 4: 1.05, 8: 1.2}


def measure_parallel(setting: BenchConfig, report: Report, say: Callable[[str], None]) -> None:
    """Measure total tokens/s of 1, 4 and 8 replies, ours and llama-server's in turn."""
    ours: dict[int, list[float]] = {count: [] for count in TARGETS}
    theirs: dict[int, list[float]] = {count: [] for count in TARGETS}
    rivals = setting.llama_server(slots=SLOTS, context=CONTEXT)
    with setting.backend(slots=SLOTS, context=CONTEXT) as backend, rivals as rival:
        # Each run asks something new, so that neither side has it in its cache.
        for run in range(RUNS):
            for count in TARGETS:
                say(f"parallel: {count} at once, run {run + 1} of {RUNS}")
                prompts = [
                    backend.encode(
                        [
                            ChatMessage(
                                "user",
                                f"Tell me a long story, number {run}.{n}, about {HEROES[n]}.",
                            )
                        ]
                    ).ids
                    for n in range(count)
                ]
                ours[count].append(throughput(backend, prompts, TOKENS))
                theirs[count].append(rival.parallel(prompts, TOKENS).total_tps)
    for count, target in TARGETS.items():
        name = f"{count} at once, total" if count > 1 else "one reply, submission to end"
        report.figures.append(
            compare(name, "tokens/s", ours[count], "llama-server", theirs[count], target=target)
        )
    report.details["parallel"] = {"ours": ours, "llama-server": theirs}
