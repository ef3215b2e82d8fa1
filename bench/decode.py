"""Decode of one reply against the bare loop, and the cost of traces."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from bench.config import BenchConfig, decode_tps, finish
from bench.report import Report, compare
from bench.rivals import measure_bare_loop
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams

# With the default settings a reply ends when it ends; the bare loop goes to the same position.
QUESTION = "Tell me a long story about a lighthouse keeper, in many paragraphs."
TOKENS = 256
CONTEXT = 2048
RUNS = 7


def measure_decode(setting: BenchConfig, report: Report, say: Callable[[str], None]) -> None:
    """Measure decode of one reply, traced and not, and of a bare `llama_decode` loop, in turn."""
    plan = setting.gguf
    bare: list[float] = []
    traced: list[float] = []
    untraced: list[float] = []
    # A process of its own: two threads that compute by turns in one process make OpenMP count
    # twice the cores and slow both down.
    apart = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with setting.backend(slots=1, context=CONTEXT) as backend, apart as other:
        ids = backend.encode([ChatMessage("user", QUESTION)]).ids
        for run in range(RUNS):
            say(f"decode: run {run + 1} of {RUNS}")
            params = SamplingParams(seed=run, max_new_tokens=TOKENS)
            tokens = 0
            for trace, series in ((True, traced), (False, untraced)):
                generation = finish(backend.engine.submit(ids, params, trace=trace))
                series.append(decode_tps(generation))
                tokens = len(generation.steps())
            rival = other.submit(
                measure_bare_loop,
                plan.path,
                ids,
                tokens,
                threads=plan.threads,
                batch_threads=plan.threads,
                context=CONTEXT,
                gpu_layers=plan.gpu_layers,
            ).result()
            bare.append(rival.decode_tps)
    report.figures += [
        compare("one reply, decode", "tokens/s", traced, "bare loop", bare, target=0.93),
        compare("one reply, traces on", "tokens/s", traced, "traces off", untraced, target=0.97),
    ]
    report.details["decode"] = {"bare": bare, "traced": traced, "untraced": untraced}
