"""What a dashboard that was made for vLLM finds here, read by Prometheus' own parser."""

import threading
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from glasschat.models.scripted import reply_script, scripted_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from tests.api.serving import Served, endless, served, wait_until


@pytest.fixture
def fresh() -> Iterator[Served]:
    with served(scripted_model("Hello")) as server:
        yield server


def scraped(server: Served) -> dict[str, float]:
    """Samples by name; with a label of its own, `name{value}`."""
    answer = server.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            own = [v for k, v in sample.labels.items() if k not in ("model_name", "engine")]
            found[sample.name + (f"{{{','.join(own)}}}" if own else "")] = sample.value
    return found


HISTOGRAMS = (
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "request_time_per_output_token_seconds",
    "e2e_request_latency_seconds",
    "request_queue_time_seconds",
    "request_prefill_time_seconds",
    "request_decode_time_seconds",
    "request_inference_time_seconds",
    "request_prompt_tokens",
    "request_generation_tokens",
    "request_max_num_generation_tokens",
    "request_prefill_kv_computed_tokens",
)


def test_every_token_and_request_is_counted_once(fresh: Served) -> None:
    before = scraped(fresh)
    assert before["vllm:generation_tokens_total"] == 0
    assert before["vllm:request_success_total{stop}"] == 0
    usages = [fresh.chat(max_tokens=n).json()["usage"] for n in (1, 3, 100)]
    wait_until(lambda: scraped(fresh)["vllm:num_requests_running"] == 0)
    found = scraped(fresh)
    prompts = sum(usage["prompt_tokens"] for usage in usages)
    cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in usages)
    replies = sum(usage["completion_tokens"] for usage in usages)
    assert found["vllm:prompt_tokens_total"] == prompts
    assert found["vllm:prefix_cache_queries_total"] == prompts
    assert found["vllm:prefix_cache_hits_total"] == cached > 0
    assert found["vllm:prompt_tokens_cached_total"] == cached
    assert found["vllm:request_prefill_kv_computed_tokens_sum"] == prompts - cached
    assert found["vllm:generation_tokens_total"] == replies
    assert found["vllm:request_success_total{length}"] == 2
    assert found["vllm:request_success_total{stop}"] == 1
    for name in HISTOGRAMS:
        count = found[f"vllm:{name}_count"]
        tokens_between, several = replies - 3, 2
        expected = {"inter_token": tokens_between, "request_time_per": several}
        assert count == next((n for k, n in expected.items() if name.startswith(k)), 3), name
        assert found[f"vllm:{name}_bucket{{+Inf}}"] == count
    assert found["vllm:request_generation_tokens_sum"] == replies
    assert found["glasschat:http_requests_total{/v1/chat/completions,200}"] == 3
    assert found["glasschat:cache_ram_bytes"] == 0


def test_replies_on_the_pages_count_too(fresh: Served) -> None:
    params = SamplingParams(temperature=0)
    fresh.backend.start([ChatMessage("user", "Hello")], params).result(10)
    wait_until(lambda: scraped(fresh)["vllm:request_success_total{stop}"] == 1)


def test_what_runs_and_what_waits() -> None:
    gate = threading.Semaphore(0)
    with served(scripted_model(endless, slots=1, gate=gate)) as server:
        threads = [
            threading.Thread(target=lambda: server.chat(max_tokens=2, timeout=10)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.backend.stats().waiting == 2)
        found = scraped(server)
        assert found["vllm:num_requests_running"] == 1
        assert found["vllm:num_requests_waiting"] == 2
        assert found["vllm:num_requests_waiting_by_reason{capacity}"] == 2
        gate.release(1000)
        for thread in threads:
            thread.join()


def test_the_share_of_the_cache_that_replies_hold() -> None:
    """What a reply leaves behind is there for the next prompt, and gives way: it is not held."""
    gate = threading.Semaphore(1)
    with served(scripted_model(endless, slots=2, context=100, gate=gate)) as server:
        usage: list[int] = []
        thread = threading.Thread(
            target=lambda: usage.append(
                server.chat(max_tokens=2, timeout=10).json()["usage"]["prompt_tokens"]
            )
        )
        thread.start()
        wait_until(lambda: scraped(server)["vllm:kv_cache_usage_perc"] > 0)
        held = scraped(server)["vllm:kv_cache_usage_perc"]
        gate.release(1000)
        thread.join()
        assert held == usage[0] / 200
        wait_until(lambda: scraped(server)["vllm:num_requests_running"] == 0)
        assert scraped(server)["vllm:kv_cache_usage_perc"] == 0


DASHBOARDS = """
    e2e_request_latency_seconds_bucket engine_sleep_state{awake} generation_tokens_total
    inter_token_latency_seconds_bucket kv_cache_usage_perc num_preemptions_total
    num_requests_running num_requests_waiting num_requests_waiting_by_reason{capacity}
    prefix_cache_hits_total prefix_cache_queries_total prompt_tokens_cached_total
    prompt_tokens_total request_decode_time_seconds_sum request_generation_tokens_bucket
    request_max_num_generation_tokens_sum request_prefill_time_seconds_sum
    request_prompt_tokens_bucket request_queue_time_seconds_sum request_success_total{error}
    time_to_first_token_seconds_bucket
"""


def test_what_vllms_own_dashboards_read(fresh: Served) -> None:
    """The names in its Grafana examples, but for parts that are not here, such as adapters."""
    fresh.chat()
    wait_until(lambda: scraped(fresh)["vllm:num_requests_running"] == 0)
    found = {name.partition("{")[0] if "_bucket" in name else name for name in scraped(fresh)}
    assert {f"vllm:{name}" for name in DASHBOARDS.split()} <= found


def test_cancelled_and_failed_ones() -> None:
    def breaks(ids: list[int]) -> object:
        if ids[-1] == ord("e"):
            raise RuntimeError("the script says so")
        return reply_script("Hello")(ids)

    with served(scripted_model(breaks)) as server:  # type: ignore[arg-type]
        server.chat()
        wait_until(lambda: scraped(server)["vllm:request_success_total{error}"] == 1)
        assert scraped(server)["vllm:generation_tokens_total"] == 2
    with served(scripted_model(endless, context=4096)) as server:
        server.chat(timeout=0.1)
        wait_until(lambda: scraped(server)["vllm:request_success_total{abort}"] == 1)


def test_refusals_are_counted_and_strange_paths_make_no_names(fresh: Served) -> None:
    fresh.chat(temperature=-1)
    for number in range(3):
        fresh.client.get(f"/v1/{number}")
    found = scraped(fresh)
    assert found["glasschat:http_requests_total{/v1/chat/completions,400}"] == 1
    assert found["glasschat:http_requests_total{other,404}"] == 3
