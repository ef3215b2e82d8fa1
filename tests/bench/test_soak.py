"""Many clients that come, dawdle and leave, for some seconds: what a minute of them must not show.

`python -m bench.soak` has the minute, a real model, and a look at the memory.
"""

import pytest

from bench.soak import SoakPlan, SoakReport, soak
from bench.soak.http_client import ConnectionBroken, parse_response
from bench.soak.report import Tally


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_stays_behind() -> None:
    plan = SoakPlan(seconds=6, clients=16, visitors=2, waiting=4, tokens=16, patience_s=15)
    report = soak(plan, None, lambda _: None)
    assert report.passed, report.as_text()
    # That all of it happened: else it would show nothing.
    counts = report.tally.counts
    for what in ("replies, whole", "left before the end", "refused, the queue was full"):
        assert counts[f"programs: {what}"] > 0, report.as_text()
    assert counts["pages: replies kept"] > 0, report.as_text()


def test_memory_that_grows_is_told() -> None:
    """Two MiB at every look; that a heap settles in the first third is nothing."""
    for growing, kept in ((0.0, True), (2.0, False)):
        memory = [100 + 60 * min(1.0, n / 40) + growing * n for n in range(120)]
        report = SoakReport(SoakPlan(seconds=60), Tally(), memory)
        report.check_memory()
        assert report.passed is kept, report.as_text()


def test_an_answer_that_is_cut_is_no_answer() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    stream = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert parse_response(head + b"abcd").body == b"abcd"
    assert parse_response(stream).body == b"abc"
    for whole in (head + b"abcd", stream):
        for cut in range(len(whole)):
            try:
                parse_response(whole[:cut])
            except ConnectionBroken:
                continue
            raise AssertionError(f"{whole[:cut]!r} was taken for whole")
