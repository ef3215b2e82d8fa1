"""What the API costs of the engine's own speed, and how it stands beside llama-server's."""

from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import Any

from bench.api_client import Load, Streamed, ask, load
from bench.config import QUESTIONS, BenchConfig
from bench.parallel import HEROES
from bench.report import Report, compare
from bench.server_process import Host, hosted

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
    """Decode through HTTP against the engine's own; then the same clients for both servers."""
    rivals = setting.llama_server(slots=SLOTS, context=CONTEXT)
    with hosted(setting, "bench.api_server", SLOTS, CONTEXT) as host:
        ask(host.port, "Hello!", 8, **OURS)
        _overhead(host, report, say)
        with rivals as rival:
            ask(rival.port, "Hello!", 8, **THEIRS)
            _beside(host.port, rival.port, report, say)


def _overhead(host: Host, report: Report, say: Callable[[str], None]) -> None:
    details: dict[int, Any] = {}
    for count, target in OVERHEAD.items():
        streamed: list[float] = []
        alone: list[float] = []

        def asking(client: int, _request: int) -> Streamed:
            return ask(host.port, QUESTIONS[client], TOKENS, seed=client, **OURS)

        for run in range(RUNS):
            say(f"api: {count} streamed, run {run + 1} of {RUNS}")
            alone.append(host.ask(f"alone {TOKENS} {count}"))
            streamed.append(mean(reply.decode_tps for reply in load(count, 1, asking).replies))
        name = "one reply streamed, decode" if count == 1 else f"{count} streamed, decode of each"
        report.figures.append(
            compare(name, "tokens/s", streamed, "the engine's own", alone, target=target)
        )
        details[count] = {"streamed": streamed, "alone": alone}
    report.details["api overhead"] = details


def _beside(ours: int, theirs: int, report: Report, say: Callable[[str], None]) -> None:
    details: dict[int, Any] = {}
    for clients in CLIENTS:
        both: tuple[list[Load], list[Load]] = ([], [])
        for run in range(RUNS):
            say(f"api: {clients} clients, run {run + 1} of {RUNS}")
            for port, settings, loads in ((ours, OURS, both[0]), (theirs, THEIRS, both[1])):
                loads.append(load(clients, EACH, partial(_story, port, settings, run)))
        details[clients] = compare_loads(report, clients, *both)
    report.details["api"] = details


def _story(port: int, settings: dict[str, float], run: int, client: int, request: int) -> Streamed:
    # Something new each time, so that neither side has it in its cache.
    hero = HEROES[client % len(HEROES)]
    text = f"Tell me a long story, number {run}.{client}.{request}, about {hero}."
    return ask(port, text, SHORT_TOKENS, seed=client, **settings)


def compare_loads(
    report: Report, clients: int, ours: list[Load], theirs: list[Load]
) -> dict[str, Any]:
    """Add the figures of one number of clients, and return the series they come of."""
    wanted: dict[str, tuple[str, Callable[[Load], float]]] = {
        "requests": ("1/s", lambda load: load.requests_per_s),
        "tokens": ("tokens/s", lambda load: load.tokens_per_s),
        "first token, p50": ("s", lambda load: load.ttft_s(0.5)),
        "first token, p95": ("s", lambda load: load.ttft_s(0.95)),
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
