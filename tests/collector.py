"""A collector of traces, OTLP over gRPC, that keeps what it gets."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it gets."""

    port: int = 0
    exports: list[Any] = field(default_factory=list)

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the method's name in the proto
        self.exports.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> dict[tuple[str, str], Any]:
        """Each span, by its service's name and its own; a repeated one once."""
        return {(service, span.name): span for service, span in self.all()}

    def all(self) -> Iterator[tuple[str, Any]]:
        """Each span and its service's name."""
        for export in tuple(self.exports):
            for resource in export.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield _service(resource), span


def _service(resource: Any) -> str:
    (name,) = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
    return str(name)


@contextmanager
def collecting() -> Iterator[Collector]:
    """It listens for so long."""
    made = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, server)
    made.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield made
    finally:
        server.stop(0).wait()
