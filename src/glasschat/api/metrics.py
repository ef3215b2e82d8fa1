"""Prometheus metrics under vLLM's names, so that vLLM's dashboards work.

All replies count: those to programs and those on the pages.
"""

import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glasschat.backends import LocalBackend, Readiness
from glasschat.engine import FinishReason, Generation, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _buckets(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


# vLLM's bounds: dashboards are made for them.
_FIRST_TOKEN_S = _buckets(
    "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 20 40 80 160 640 2560"
)
_TOKEN_S = _buckets("0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5 5 7.5 10 20 40 80")
_REQUEST_S = _buckets("0.3 0.5 0.8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680")
_TOKENS = tuple(m * 10**e for e in range(6) for m in (1.0, 2.0, 5.0))

_REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.CANCELLED: "abort",
    FinishReason.ERROR: "error",
}
_LABELS = ("model_name", "engine")
_ENGINE = "0"


class Metrics:
    """Counters and histograms over the replies of a backend, and over the API's requests."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self._registry = CollectorRegistry()
        self._registry.register(_EngineMetrics(backend))
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens read, cached ones too.")
        self.generation_tokens = self._counter("generation_tokens", "Tokens generated.")
        self.cached_tokens = self._counter(
            "prompt_tokens_cached", "Prompt tokens that were in a cache."
        )
        self.cache_queries = self._counter(
            "prefix_cache_queries", "Prompt tokens looked for in caches."
        )
        self.cache_hits = self._counter("prefix_cache_hits", "Prompt tokens found there.")
        self.finished = Counter(
            "vllm:request_success",
            "Replies that ended, by their reason.",
            (*_LABELS, "finished_reason"),
            registry=self._registry,
        )
        seconds = self._histogram
        self.first_token = seconds(
            "time_to_first_token_seconds", "From the request.", _FIRST_TOKEN_S
        )
        self.between_tokens = seconds("inter_token_latency_seconds", "Token to token.", _TOKEN_S)
        self.per_token = seconds(
            "request_time_per_output_token_seconds", "The mean of a reply.", _TOKEN_S
        )
        self.whole = seconds("e2e_request_latency_seconds", "Request to end.", _REQUEST_S)
        self.queue = seconds("request_queue_time_seconds", "Request to slot.", _REQUEST_S)
        self.prefill = seconds("request_prefill_time_seconds", "Slot to first token.", _REQUEST_S)
        self.decode = seconds("request_decode_time_seconds", "First to last token.", _REQUEST_S)
        self.inference = seconds("request_inference_time_seconds", "Slot to end.", _REQUEST_S)
        self.prompt_size = seconds("request_prompt_tokens", "Tokens of a prompt.", _TOKENS)
        self.reply_size = seconds("request_generation_tokens", "Tokens of a reply.", _TOKENS)
        # In vLLM this is the longest choice of a request. Here every choice is a request.
        self.longest = seconds(
            "request_max_num_generation_tokens", "Tokens of a reply, each by itself.", _TOKENS
        )
        self.prefilled = seconds(
            "request_prefill_kv_computed_tokens", "Prompt tokens that were computed.", _TOKENS
        )
        self._requests = Counter(
            "glasschat:http_requests",
            "Requests to the API, by path and status.",
            ("path", "status"),
            registry=self._registry,
        )
        backend.on_reply(lambda generation: _ReplyObserver(self, self.model, generation).start())

    @property
    def model(self) -> str:
        """Return the name of the model that the backend serves now."""
        return self._backend.describe().name

    def count_request(self, path: str, status: int | None) -> None:
        """Count a request that is over, as 499 (nginx's) if the client left before a status."""
        self._requests.labels(path, str(status or 499)).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format, version 0.0.4."""
        if self._backend.describe().readiness is Readiness.READY:
            # Exposed from the start as 0: a counter that first appears as 1 has no rate.
            for counter in (
                self.prompt_tokens,
                self.generation_tokens,
                self.cached_tokens,
                self.cache_queries,
                self.cache_hits,
            ):
                counter.labels(self.model, _ENGINE)
            for reason in _REASONS.values():
                self.finished.labels(self.model, _ENGINE, reason)
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"vllm:{name}", text, _LABELS, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"vllm:{name}", text, _LABELS, registry=self._registry, buckets=buckets)


class _EngineMetrics(Collector):
    """Collector of the engine's state at the time of the scrape."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        """Yield the restarts at any time, and the gauges while an engine runs."""
        described = self._backend.describe()
        yield CounterMetricFamily(
            "glasschat:engine_restarts",
            "How often the engine was started again after a fault.",
            value=described.restarts,
        )
        if described.readiness is not Readiness.READY:
            return
        stats = self._backend.stats()
        yield CounterMetricFamily(
            "glasschat:slot_repairs",
            "Slots whose books were wrong when nothing ran, and which were emptied.",
            value=stats.repairs,
        )
        yield GaugeMetricFamily(
            "glasschat:cache_ram_bytes",
            "Main memory that conversations without a slot take.",
            value=stats.prefix_cache_bytes,
        )
        labels = (described.name, _ENGINE)
        for name, text, value in (
            ("num_requests_running", "Replies in slots.", stats.running),
            ("num_requests_waiting", "Replies in the queue.", stats.waiting),
            ("kv_cache_usage_perc", "Share of positions that replies hold.", stats.cache_used),
        ):
            family = GaugeMetricFamily(f"vllm:{name}", text, labels=_LABELS)
            family.add_metric(labels, value)
            yield family
        # Constant here, and expected by the dashboards: a slot is never taken from a reply, a
        # waiting request always waits for a slot, and an engine that runs is awake.
        preempted = CounterMetricFamily("vllm:num_preemptions", "None here.", labels=_LABELS)
        preempted.add_metric(labels, 0)
        yield preempted
        reasons = (*_LABELS, "reason")
        waiting = GaugeMetricFamily(
            "vllm:num_requests_waiting_by_reason", "For a slot, all of them.", labels=reasons
        )
        waiting.add_metric((*labels, "capacity"), stats.waiting)
        waiting.add_metric((*labels, "deferred"), 0)
        yield waiting
        states = (*_LABELS, "sleep_state")
        awake = GaugeMetricFamily("vllm:engine_sleep_state", "Never asleep.", labels=states)
        awake.add_metric((*labels, "awake"), 1)
        yield awake


class _ReplyObserver:
    """Observes one reply in the engine's thread, and updates the metrics as it grows."""

    def __init__(self, metrics: Metrics, model: str, generation: Generation) -> None:
        self._metrics = metrics
        self._labels = labels = (model, _ENGINE)
        # Looked up once, not for every token.
        self._generated = metrics.generation_tokens.labels(*labels)
        self._between = metrics.between_tokens.labels(*labels)
        self._generation = generation
        self._lock = threading.Lock()
        self._tokens = 0
        self._last_at = 0.0
        self._ended = False

    def start(self) -> None:
        """Subscribe to changes. Looks at once too, as the reply may have ended already."""
        self._generation.on_change(self._observe_changes)
        self._observe_changes()

    def _observe_changes(self) -> None:
        # The reply is read before this lock is taken: the engine calls with the reply's lock held.
        generation, seen = self._generation, self._tokens
        tokens = seen + len(generation.steps(seen))
        snapshot = generation.snapshot() if generation.finished else None
        with self._lock:
            if tokens > self._tokens:
                self._observe_tokens(tokens)
            if snapshot is not None and not self._ended:
                self._ended = True
                self._observe_end(snapshot)

    def _observe_tokens(self, tokens: int) -> None:
        clock = self._generation.clock
        now = clock.last_at or 0.0
        new, since = tokens - self._tokens, self._last_at
        self._generated.inc(new)
        if self._tokens == 0 and clock.first_at is not None:
            first = clock.first_at - clock.submitted_at
            self._metrics.first_token.labels(*self._labels).observe(first)
            new, since = new - 1, clock.first_at
        # Tokens that came between two looks share the time between these.
        for _ in range(new):
            self._between.observe((now - since) / new)
        self._tokens, self._last_at = tokens, now

    def _observe_end(self, snapshot: Snapshot) -> None:
        metrics, labels, clock = self._metrics, self._labels, self._generation.clock
        reason = _REASONS[snapshot.finish_reason or FinishReason.ERROR]
        metrics.finished.labels(*labels, reason).inc()
        ended, admitted = clock.ended_at, clock.admitted_at
        if ended is None or admitted is None:
            return
        usage = snapshot.usage
        metrics.whole.labels(*labels).observe(ended - clock.submitted_at)
        metrics.queue.labels(*labels).observe(admitted - clock.submitted_at)
        metrics.inference.labels(*labels).observe(ended - admitted)
        metrics.cache_queries.labels(*labels).inc(usage.prompt_tokens)
        metrics.cache_hits.labels(*labels).inc(usage.cached_tokens)
        first, last = clock.first_at, clock.last_at
        if first is None or last is None:
            return
        metrics.prompt_tokens.labels(*labels).inc(usage.prompt_tokens)
        metrics.prompt_size.labels(*labels).observe(usage.prompt_tokens)
        metrics.cached_tokens.labels(*labels).inc(usage.cached_tokens)
        metrics.reply_size.labels(*labels).observe(usage.completion_tokens)
        metrics.longest.labels(*labels).observe(usage.completion_tokens)
        metrics.prefilled.labels(*labels).observe(usage.prompt_tokens - usage.cached_tokens)
        metrics.prefill.labels(*labels).observe(first - admitted)
        metrics.decode.labels(*labels).observe(last - first)
        if usage.completion_tokens > 1:
            metrics.per_token.labels(*labels).observe(
                (last - first) / (usage.completion_tokens - 1)
            )
