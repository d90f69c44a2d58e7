"""What a replica counts: the one catalogue of its metrics. Served at /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All metrics of one replica, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = self._counter("earshot_requests", "Requests answered.", "method", "code")
        self.request_seconds = self._histogram("earshot_request_seconds", "From arrival to answer.", "method")
        self.in_flight = self._gauge("earshot_requests_in_flight", "Requests being answered.")
        self.received_bytes = self._counter("earshot_received_bytes", "Request messages, encoded.", "method")
        self.sent_bytes = self._counter("earshot_sent_bytes", "Response messages, encoded.", "method")
        self.stage_seconds = self._histogram(
            "earshot_stage_seconds", "Time in each stage of a request.", "stage"
        )
        self.rejected = self._counter("earshot_rejected", "Requests refused for lack of room.", "reason")
        self.admitted = self._gauge(
            "earshot_admitted_requests", "Requests that hold a permit: waiting or at work."
        )
        self.queue_depth = self._gauge("earshot_queue_depth", "Requests that wait for a worker.", "pool")
        self.workers_busy = self._gauge("earshot_workers_busy", "Workers at work.", "pool")
        self.workers_ready = self._gauge("earshot_workers_ready", "Workers loaded and alive.", "pool")
        self.worker_restarts = self._counter("earshot_worker_restarts", "Workers that died.", "pool")
        self.audio_seconds = self._counter("earshot_audio_seconds", "Audio received, once decoded.")
        self.characters = self._counter("earshot_characters", "Characters of text received.")
        self.model = Info("earshot_model", "The model served.", registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, buckets=_SECONDS, registry=self.registry)

    def serve(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Serves /metrics from a thread. Gives the port, and what stops it."""
        server, thread = start_http_server(port, host, self.registry)
        return server.server_port, lambda: _stop(server, thread)


def _stop(server: WSGIServer, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
