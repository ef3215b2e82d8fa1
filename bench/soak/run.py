"""Run of a soak test: a server, all clients at once, and the checks afterwards."""

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench import child_environment
from bench.soak.api_client import CHAT, ApiClient
from bench.soak.http_client import HOST, ConnectionBroken, fetch
from bench.soak.report import SoakPlan, SoakReport
from bench.soak.visitor import Visitor
from glasschat.chat.node import Ending, Node
from glasschat.chat.store import LOCAL_OWNER, open_store
from glasschat.errors import ServerError

_MIB = 2**20
_LENGTHS = "vllm:request_generation_tokens"
# More tokens than any reply has by the time that its client leaves; below LONG_TOKENS.
_UNLIKELY = 1000
# The longest of one character: a token for each of its bytes.
_CHARACTER = 4
_ENDINGS = (Ending.STOP, Ending.LENGTH, Ending.CANCELLED)


def soak(plan: SoakPlan, model: Path | None, say: Callable[[str], None]) -> SoakReport:
    """Serve `model`, a scripted one if it is None, put it under load and check it.

    `say` is told what is going on. Raises ServerError where it does not even begin.
    """
    report = SoakReport(plan)
    with tempfile.TemporaryDirectory(prefix="glasschat-soak-") as folder:
        store, log = Path(folder) / "kept.db", Path(folder) / "log"
        with log.open("wb") as file, _server(plan, model, store, file) as (process, port):
            asyncio.run(_drive(report, process, port, say))
            say("ending the server")
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(plan.patience_s)
            except subprocess.TimeoutExpired:
                report.tally.record_violation(
                    f"the server did not end within {plan.patience_s:g} s"
                )
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        if said:
            report.tally.record_violation(f"the server's log is not empty: {said[-1500:]}")
        _check_kept(report, store)
    report.check_memory()
    return report


async def _drive(
    report: SoakReport, process: subprocess.Popen[bytes], port: int, say: Callable[[str], None]
) -> None:
    plan, tally = report.plan, report.tally
    await _wait_until_ready(process, port, plan.patience_s)
    say(f"{plan.clients} programs and {plan.visitors} pages for {plan.seconds:g} s")
    until = time.monotonic() + plan.seconds
    everybody = [
        *(ApiClient(n, port, plan, tally).run(until) for n in range(plan.clients)),
        *(Visitor(n, port, plan, tally).run(until) for n in range(plan.visitors)),
    ]
    sampling = asyncio.ensure_future(_sample_memory(report, process.pid, until))
    await asyncio.gather(*everybody)
    await sampling
    say("waiting until nothing runs")
    await _wait_until_idle(report, port)
    await _check_all_slots(report, port)
    found = await _metrics(port)
    whole = found[f"{_LENGTHS}_count"] - found[f"{_LENGTHS}_bucket{{{_UNLIKELY:.1f}}}"]
    if whole:
        tally.record_violation(f"{whole:g} replies were written to their end with nobody there")
    for name in ("glasschat:slot_repairs_total", "glasschat:engine_restarts_total"):
        if found[name]:
            tally.record_violation(f"{name} is {found[name]:g}")


async def _sample_memory(report: SoakReport, pid: int, until: float) -> None:
    server = psutil.Process(pid)
    while time.monotonic() < until and server.is_running():
        report.memory_mib.append(server.memory_info().rss / _MIB)
        await asyncio.sleep(0.5)


async def _wait_until_idle(report: SoakReport, port: int) -> None:
    """Wait until nothing runs or waits any more; record a violation if that takes too long."""
    deadline = time.monotonic() + report.plan.patience_s
    while True:
        found = await _metrics(port)
        busy = [found[f"vllm:num_requests_{what}"] for what in ("running", "waiting")]
        if not any(busy):
            return
        if time.monotonic() > deadline:
            report.tally.record_violation(
                f"{busy[0]:g} replies still run and {busy[1]:g} wait, with nobody there"
            )
            return
        await asyncio.sleep(0.1)


async def _check_all_slots(report: SoakReport, port: int) -> None:
    """Check that all slots can be used at once."""
    plan, tokens, most = report.plan, report.plan.tokens, 0.0

    def body(number: int) -> dict[str, object]:
        asked_for = [{"role": "user", "content": f"The last one, number {number}."}]
        return {"messages": asked_for, "max_tokens": tokens, "ignore_eos": True}

    # A few rounds: a look from outside may come too early or too late.
    for _round in range(5):
        last = [asyncio.ensure_future(fetch(port, CHAT, body(n))) for n in range(plan.slots)]
        while not all(task.done() for task in last):
            most = max(most, (await _metrics(port))["vllm:num_requests_running"])
            await asyncio.sleep(0.01)
        statuses = [answer.status for answer in await asyncio.gather(*last)]
        if statuses != [200] * plan.slots:
            report.tally.record_violation(f"afterwards requests were answered with {statuses}")
        if most == plan.slots:
            return
    report.tally.record_violation(f"only {most:g} of {plan.slots} slots can still be had at once")


async def _metrics(port: int) -> dict[str, float]:
    """Return samples by name; those of a histogram's buckets as `name{bound}`."""
    text = (await fetch(port, "/metrics")).body.decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {
        s.name + (f"{{{s.labels['le']}}}" if "le" in s.labels else ""): s.value for s in samples
    }


async def _wait_until_ready(process: subprocess.Popen[bytes], port: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if (await fetch(port, "/ready")).status == 200:
                return
        except (OSError, ConnectionBroken):
            pass
        await asyncio.sleep(0.1)
    raise ServerError("the server to be soaked did not start")


@contextmanager
def _server(
    plan: SoakPlan, model: Path | None, store: Path, log: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    settings = map(str, (port, plan.tokens, plan.slots, plan.waiting, store))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bench.soak.server", *settings),
            *([str(model)] if model is not None else []),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=child_environment(GLASSCHAT_DATA=str(store.parent)),
    )
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


def _check_kept(report: SoakReport, place: Path) -> None:
    """Check that every reply that a page has shown is stored, and every stored one has ended."""
    questions: set[str] = set()
    store = open_store(place)
    try:
        cursor = None
        while True:
            page = store.conversations(LOCAL_OWNER, after=cursor)
            for info in page.items:
                nodes = store.load(LOCAL_OWNER, info.id).tree.nodes
                questions.update(node.text for node in nodes if node.role == "user")
                _check_replies(report, nodes)
            cursor = page.more
            if cursor is None:
                break
    finally:
        store.close()
    for question in sorted(report.tally.answered - questions):
        report.tally.record_violation(f"nothing is kept of what a page has shown: {question}")


def _check_replies(report: SoakReport, nodes: Collection[Node]) -> None:
    replies = [node for node in nodes if node.role != "user"]
    report.tally.count("pages: replies kept", len(replies))
    for node in replies:
        ending = node.runs[-1].ending
        if ending not in _ENDINGS:
            report.tally.record_violation(f"a reply of a page is kept as {ending}")
        elif not node.text and len(node.ids or ()) >= _CHARACTER:
            # Some models have nothing to say now and then, and one that was stopped may have
            # come to the middle of its first character.
            report.tally.record_violation(
                f"a reply of a page, {ending}, is kept without its text: {node.ids}"
            )
        if len(node.ids or ()) != node.runs[-1].usage.completion_tokens - (ending is Ending.STOP):
            report.tally.record_violation("a reply of a page is kept without all of its tokens")
    if 2 * len(replies) != len(nodes):
        report.tally.record_violation("a question of a page is kept without its reply")
