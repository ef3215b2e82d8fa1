"""The bench's client reads what a server really sends, and its figures are what they say."""

import pytest

from bench.api import OURS, compare_loads
from bench.api_client import LoadResult, StreamedReply, run_clients, stream_chat
from bench.report import Report
from bench.rivals import RivalFailed
from glasschat.models.scripted import scripted_model
from tests.api.serving import endless, served


def test_clients_of_our_server() -> None:
    with served(scripted_model(endless, slots=4, context=512)) as server:
        port = int(server.url.rpartition(":")[2])

        def send(client: int, request: int) -> StreamedReply:
            return stream_chat(port, f"{client}.{request}", 20, seed=client, **OURS)

        done = run_clients(3, 2, send)
        assert [reply.tokens for reply in done.replies] == [20] * 6
        assert all(0 < reply.ttft_s < done.wall_s for reply in done.replies)
        with pytest.raises(RivalFailed, match=r"answered 400.*wrong_setting"):
            stream_chat(port, "Hello", 5, wrong_setting=1)
        with pytest.raises(RivalFailed, match="without its reply"):
            run_clients(
                2, 1, lambda client, request: stream_chat(port, "Hello", 5, wrong_setting=client)
            )


def test_figures_of_a_load() -> None:
    slow = LoadResult([StreamedReply(10, ttft, 50.0) for ttft in (0.4, 0.1, 0.2, 0.3)], wall_s=2.0)
    quick = LoadResult(
        [StreamedReply(10, ttft / 2, 50.0) for ttft in (0.4, 0.1, 0.2, 0.3)], wall_s=1.0
    )
    assert (slow.requests_per_s, slow.tokens_per_s) == (2.0, 20.0)
    assert (slow.ttft_s(0.5), slow.ttft_s(0.95)) == (0.3, 0.4)
    report = Report("m", 2)
    compare_loads(report, 4, [quick], [slow])
    assert [figure.ratio for figure in report.figures] == pytest.approx([2.0] * 4)
    assert all(figure.met for figure in report.figures)
    assert {figure.name for figure in report.figures} >= {"4 clients, first token, p95"}
