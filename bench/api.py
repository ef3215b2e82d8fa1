"""API overhead over the engine's own speed, and the API beside llama-server's."""

from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import Any

from bench.api_client import LoadResult, StreamedReply, run_clients, stream_chat
from bench.config import QUESTIONS, BenchConfig
from bench.parallel import HEROES
from bench.report import Report, compare
from bench.server_process import ServerProcess, run_server

TOKENS = 128
SHORT_TOKENS = 32
CONTEXT = 512
SLOTS = 16
RUNS = 5
EACH = 4
OVERHEAD = {1: 0.95, 4: None}
CLIENTS = (1, 4, 16)
SETTINGS = {"temperature": 0.7, "top_p": 0.8}
OURS = {**SETTINGS, "repetition_penalty": 1.005}
# Top-k and min-p stay at the server's own defaults, which make its sampling cheaper.
THEIRS = {**SETTINGS, "repeat_penalty": 1.005}


def measure_api(setting: BenchConfig, report: Report, say: Callable[[str], None]) -> None:
    """Measure decode through HTTP against the engine's own; then both servers' clients."""
    rivals = setting.llama_server(slots=SLOTS, context=CONTEXT)
    with run_server(setting, "bench.api_server", SLOTS, CONTEXT) as host:
        stream_chat(host.port, "Hello!", 8, **OURS)
        _measure_overhead(host, report, say)
        with rivals as rival:
            stream_chat(rival.port, "Hello!", 8, **THEIRS)
            _measure_clients(host.port, rival.port, report, say)


def _measure_overhead(host: ServerProcess, report: Report, say: Callable[[str], None]) -> None:
    details: dict[int, Any] = {}
    for count, target in OVERHEAD.items():
        streamed: list[float] = []
        alone: list[float] = []

        def send(client: int, _request: int) -> StreamedReply:
            return stream_chat(host.port, QUESTIONS[client], TOKENS, seed=client, **OURS)

        for run in range(RUNS):
            say(f"api: {count} streamed, run {run + 1} of {RUNS}")
            alone.append(host.ask(f"alone {TOKENS} {count}"))
            streamed.append(mean(reply.decode_tps for reply in run_clients(count, 1, send).replies))
        name = "one reply streamed, decode" if count == 1 else f"{count} streamed, decode of each"
        report.figures.append(
            compare(name, "tokens/s", streamed, "the engine's own", alone, target=target)
        )
        details[count] = {"streamed": streamed, "alone": alone}
    report.details["api overhead"] = details


def _measure_clients(ours: int, theirs: int, report: Report, say: Callable[[str], None]) -> None:
    details: dict[int, Any] = {}
    for clients in CLIENTS:
        both: tuple[list[LoadResult], list[LoadResult]] = ([], [])
        for run in range(RUNS):
            say(f"api: {clients} clients, run {run + 1} of {RUNS}")
            for port, settings, loads in ((ours, OURS, both[0]), (theirs, THEIRS, both[1])):
                loads.append(
                    run_clients(clients, EACH, partial(_ask_for_story, port, settings, run))
                )
        details[clients] = compare_loads(report, clients, *both)
    report.details["api"] = details


def _ask_for_story(
    port: int, settings: dict[str, float], run: int, client: int, request: int
) -> StreamedReply:
    # Something new each time, so that neither side has it in its cache.
    hero = HEROES[client % len(HEROES)]
    text = f"Tell me a long story, number {run}.{client}.{request}, about {hero}."
    return stream_chat(port, text, SHORT_TOKENS, seed=client, **settings)


def compare_loads(
    report: Report, clients: int, ours: list[LoadResult], theirs: list[LoadResult]
) -> dict[str, Any]:
    """Add the figures of one number of clients, and return the series they come of."""
    wanted: dict[str, tuple[str, Callable[[LoadResult], float]]] = {
        "requests": ("1/s", lambda run_clients: run_clients.requests_per_s),
        "tokens": ("tokens/s", lambda run_clients: run_clients.tokens_per_s),
        "first token, p50": ("s", lambda run_clients: run_clients.ttft_s(0.5)),
        "first token, p95": ("s", lambda run_clients: run_clients.ttft_s(0.95)),
    }
    series: dict[str, Any] = {}
    for name, (unit, figure) in wanted.items():
        mine, other = list(map(figure, ours)), list(map(figure, theirs))
        series[name] = {"ours": mine, "llama-server": other}
        report.figures.append(
            compare(
                f"{clients} {'client' if clients == 1 else 'clients'}, {name}",
                unit,
                mine,
                "llama-server",
                other,
                target=1.0,
                less_is_better=unit == "s",
            )
        )
    return series
