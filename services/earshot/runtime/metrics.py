"""What a replica counts, as :mod:`earshot.runtime.catalog` has it. Served at /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, TypeVar
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from earshot import __version__
from earshot.runtime import catalog
from earshot.runtime.calls import Call
from earshot.runtime.catalog import Spec
from earshot.runtime.tallies import Counts, Spreads

_OURS: Final = "earshot_"
MetricT = TypeVar("MetricT", Counter, Gauge, Histogram)

# A series beside each of a counter and a histogram that says when it began: nothing here asks for it.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics of one replica, in a registry of their own. Only the front process counts: what a
    worker does is counted by who sent it there, so a worker's death takes nothing away and adds nothing.
    """

    def __init__(self, component: str) -> None:
        """``component`` is the label that tells the services apart: ``stt`` or ``classification``."""
        self.component = component
        self.registry = registry = _Registry(component)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._requests = Counts(registry, catalog.REQUESTS)
        self._request_seconds = Spreads(registry, catalog.REQUEST_SECONDS)
        self._first_response_seconds = Spreads(registry, catalog.FIRST_RESPONSE_SECONDS)
        self._in_flight = Counts(registry, catalog.IN_FLIGHT)
        self._stage_seconds = Spreads(registry, catalog.STAGE_SECONDS)
        self._received_bytes = Counts(registry, catalog.RECEIVED_BYTES)
        self._sent_bytes = Counts(registry, catalog.SENT_BYTES)
        self.rejected = _counter(registry, catalog.REJECTED)
        self.admitted = _gauge(registry, catalog.ADMITTED)
        self.queue_depth = _gauge(registry, catalog.QUEUE_DEPTH)
        self.workers = _gauge(registry, catalog.WORKERS)
        self.workers_ready = _gauge(registry, catalog.WORKERS_READY)
        self.workers_busy = _gauge(registry, catalog.WORKERS_BUSY)
        self.worker_busy_seconds = _Watched(registry, catalog.WORKER_BUSY_SECONDS)
        self.worker_restarts = _counter(registry, catalog.WORKER_RESTARTS)
        self.ready = _gauge(registry, catalog.READY)
        self.draining = _gauge(registry, catalog.DRAINING)
        self.model = _info(registry, catalog.MODEL)
        self.fallback = _info(registry, catalog.FALLBACK)
        self.audio_seconds = _counter(registry, catalog.AUDIO_SECONDS)
        self.audio_bytes = _counter(registry, catalog.AUDIO_BYTES)
        self.decoded_bytes = _counter(registry, catalog.DECODED_BYTES)
        self.speech_seconds = _counter(registry, catalog.SPEECH_SECONDS)
        self.silence_skipped_seconds = _counter(registry, catalog.SILENCE_SKIPPED_SECONDS)
        self.real_time_factor = _histogram(registry, catalog.REAL_TIME_FACTOR)
        self.streams_resumed = _counter(registry, catalog.STREAMS_RESUMED)
        self.final_seconds = _histogram(registry, catalog.FINAL_SECONDS)
        self.first_interim_seconds = _histogram(registry, catalog.FIRST_INTERIM_SECONDS)
        self.acknowledgement_seconds = _histogram(registry, catalog.ACKNOWLEDGEMENT_SECONDS)
        self.characters = _counter(registry, catalog.CHARACTERS)
        self.seen_texts = _counter(registry, catalog.SEEN_TEXTS)
        self.seen_bytes = _gauge(registry, catalog.SEEN_BYTES)
        self.billed = _counter(registry, catalog.BILLED)
        self.cost = _counter(registry, catalog.COST)
        self.quota_refused = _counter(registry, catalog.QUOTA_REFUSED)
        self.quota_unchecked = _counter(registry, catalog.QUOTA_UNCHECKED)
        self.quota_store_up = _gauge(registry, catalog.QUOTA_STORE_UP)
        _info(registry, catalog.BUILD).info({"version": __version__})

    def begin(self, method: str) -> None:
        """A call has arrived."""
        self._in_flight.of(method).value += 1

    def count(self, call: Call) -> None:
        """A call has ended."""
        method, client = call.method, call.client
        self._in_flight.of(method).value -= 1
        self._requests.of(method, call.code.name, client).value += 1
        exemplar = {"trace_id": call.trace_id} if call.trace and call.trace.sampled else None
        self._request_seconds.of(method, client).observe(call.seconds, exemplar)
        if call.responded is not None:
            self._first_response_seconds.of(method).observe(call.responded - call.began)
        self._received_bytes.of(method, call.codec, client).value += call.received_bytes
        self._sent_bytes.of(method, call.codec, client).value += call.sent_bytes
        for stage, spent in call.stages.items():
            self._stage_seconds.of(method, stage).observe(spent)

    def serve(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Serves /metrics from a thread. Gives the port, and what stops it."""
        server, thread = start_http_server(port, host, self.registry)
        return server.server_port, lambda: _stop(server, thread)


class _Registry(CollectorRegistry):
    """Adds to each of our samples which service it is of, however a scraper names its targets."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = {catalog.COMPONENT: component}

    def collect(self) -> Iterator[Metric]:
        for family in super().collect():
            if family.name.startswith(_OURS):
                family.samples = [
                    sample._replace(labels=self._component | sample.labels) for sample in family.samples
                ]
            yield family


class _Watched:
    """A counter with one label whose values others keep: each is asked for when it is scraped."""

    def __init__(self, registry: CollectorRegistry, spec: Spec) -> None:
        self._spec = spec
        self._values: dict[str, Callable[[], float]] = {}
        registry.register(self)

    def watch(self, label: str, value: Callable[[], float]) -> None:
        """From now on ``value``, which never falls, is exposed under ``label``."""
        self._values[label] = value

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._spec.name, self._spec.meaning, labels=self._spec.labels)
        for label, value in self._values.items():
            family.add_metric([label], value())
        yield family


def _counter(registry: CollectorRegistry, spec: Spec) -> Counter:
    return _known(Counter(spec.name, spec.meaning, spec.labels, registry=registry))


def _gauge(registry: CollectorRegistry, spec: Spec) -> Gauge:
    return _known(Gauge(spec.name, spec.meaning, spec.labels, registry=registry))


def _histogram(registry: CollectorRegistry, spec: Spec) -> Histogram:
    return _known(Histogram(spec.name, spec.meaning, spec.labels, buckets=spec.buckets, registry=registry))


def _known(metric: MetricT) -> MetricT:
    """Each series is looked up once: ``labels`` takes as long as all the rest.

    There are few, as all labels have few values.
    """
    metric.labels = cache(metric.labels)  # type: ignore[method-assign]
    return metric


def _info(registry: CollectorRegistry, spec: Spec) -> Info:
    return Info(spec.name, spec.meaning, registry=registry)


def _stop(server: WSGIServer, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
