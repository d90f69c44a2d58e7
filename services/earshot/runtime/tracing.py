"""Traces of calls, by OpenTelemetry: W3C context in and out, a span for a call and each of its stages.

Off unless a collector is named, and then nothing of OpenTelemetry is imported. A call's spans are made when
it has ended, of what is then known of it: while it runs, only its ids exist.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from earshot import __version__, errors
from earshot.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TraceState

    from earshot.runtime.calls import Call

_CONTEXT: Final = ("traceparent", "tracestate")  # W3C Trace Context
_HEX_DIGITS: Final = 32
# Codes by which a call failed and it was not the caller's mistake: the span counts as failed.
_FAULTS: Final = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)


class Trace:
    """The span of one call; of one that is not recorded, only what others are told of it."""

    def __init__(
        self,
        trace_id: int,
        state: TraceState | None,
        tracer: Tracer | None = None,
        span: Span | None = None,
    ) -> None:
        """Without ``span`` it is not recorded, and goes on with the caller's ``state``."""
        self._number, self._state, self._tracer, self._span = trace_id, state, tracer, span
        # The same in every service that the call passes; in hexadecimal.
        self.id = format(trace_id, f"0{_HEX_DIGITS}x")
        self.sampled = span is not None
        self._epoch = time.time() - time.monotonic()  # of this call alone: clocks are set while we run

    def headers(self) -> dict[str, str]:
        """What calls that are made for this one carry."""
        from opentelemetry.trace import (  # noqa: PLC0415 - only where it is on
            NonRecordingSpan,
            SpanContext,
            set_span_in_context,
        )
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415

        carrier: dict[str, str] = {}
        unrecorded = SpanContext(self._number, _random(64), is_remote=False, trace_state=self._state)
        span = self._span or NonRecordingSpan(unrecorded)
        tracecontext.TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
        return carrier

    def end(self, call: Call) -> None:
        """Makes the spans of ``call``, which has ended just now."""
        if self._span is None or self._tracer is None:  # most calls
            return
        from opentelemetry.trace import Status, StatusCode, set_span_in_context  # noqa: PLC0415

        inside = set_span_in_context(self._span)
        for stage, start, stop in call.intervals:
            part = self._tracer.start_span(stage.value, inside, start_time=self._nanoseconds(start))
            part.end(self._nanoseconds(stop))
        self._span.set_attributes(_attributes(call))
        if call.code.name in _FAULTS:
            self._span.set_status(Status(StatusCode.ERROR, call.reason))
        self._span.end()

    def _nanoseconds(self, moment: float) -> int:
        """``moment``, by ``time.monotonic``, since 1970."""
        return int((moment + self._epoch) * 1e9)


class Tracing:
    """Sends the spans of one replica to a collector."""

    def __init__(self, settings: ServiceSettings, component: str) -> None:
        """Raises ``FailedPreconditionError`` where OpenTelemetry is not installed."""
        try:
            from opentelemetry.context import Context  # noqa: PLC0415
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.sampling import DEFAULT_ON  # noqa: PLC0415
            from opentelemetry.trace import SpanKind, get_current_span  # noqa: PLC0415
            from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
                TraceContextTextMapPropagator,
            )
        except ModuleNotFoundError as exc:
            raise errors.FailedPreconditionError(
                f"EARSHOT_OTLP_ENDPOINT needs OpenTelemetry: {errors.how_to_install('tracing')}"
            ) from exc
        resource = Resource.create(
            {
                "service.name": f"earshot-{component}",
                "service.version": __version__,
                "service.instance.id": settings.replica,
            }
        )
        # What is not recorded never comes to it.
        self._provider = TracerProvider(resource=resource, sampler=DEFAULT_ON, shutdown_on_exit=False)
        self._share = settings.trace_share
        plain = not settings.otlp_endpoint.startswith("https://")
        exporter = OTLPSpanExporter(settings.otlp_endpoint, insecure=plain)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("earshot", __version__)
        self._propagator, self._nowhere = TraceContextTextMapPropagator(), Context()
        self._served, self._span_in = SpanKind.SERVER, get_current_span

    def begin(self, method: str, metadata: Mapping[str, Any]) -> Trace:
        """A call arrives now; whether it is recorded is the caller's to say, else chance's.

        A span costs as much as a twentieth of a call that does nothing: one that is not recorded makes none.
        """
        carrier = {name: str(metadata[name]) for name in _CONTEXT if name in metadata}
        context = self._propagator.extract(carrier) if carrier else self._nowhere
        parent = self._span_in(context).get_span_context() if carrier else None
        if parent and parent.is_valid:
            recorded, trace_id = parent.trace_flags.sampled, parent.trace_id
        else:
            recorded = random.random() < self._share  # noqa: S311 - no secret
            trace_id, parent = _random(128), None
        if not recorded:
            return Trace(trace_id, parent.trace_state if parent else None)
        span = self._tracer.start_span(method, context, kind=self._served)
        return Trace(span.get_span_context().trace_id, None, self._tracer, span)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()


def _random(bits: int) -> int:
    """An id, of those that are not nought."""
    return random.getrandbits(bits) or 1


def tracing(settings: ServiceSettings, component: str) -> Tracing | None:
    """As the settings want it; None: off."""
    return Tracing(settings, component) if settings.otlp_endpoint else None


def _attributes(call: Call) -> dict[str, str | float]:
    return {
        "rpc.system": "grpc",
        "rpc.method": call.method,
        "rpc.grpc.status_code": call.code.value[0],
        "earshot.request_id": call.request_id,
        "earshot.client": call.client,
        "earshot.codec": call.codec,
        "earshot.reason": call.reason,
        "earshot.audio_seconds": call.audio_seconds,
        "earshot.received_bytes": call.received_bytes,
        "earshot.sent_bytes": call.sent_bytes,
    }
