"""Traces as a collector gets them: one for a call and all that is done for it; nothing where they are off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from earshot import errors
from earshot.client import AsyncClient
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.runtime.settings import ServiceSettings
from earshot.runtime.tracing import tracing
from tests.collector import Collector, collecting
from tests.rpc import clips
from tests.rpc.conftest import Start, log_lines

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # the ids of the standard's examples
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
REQUEST = speech_pb2.RecognizeRequest(content=clips.wav(0.5))
SPEECH = classification_pb2.ClassifySpeechRequest(
    content=clips.wav(0.5), classification_config={"candidate_labels": ["a canary", "b"]}
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


async def test_one_trace_shows_both_services_and_their_stages(
    collector: Collector, start_speech: Start, start_texts: Start
) -> None:
    async with (
        start_speech("echo", otlp_endpoint=collector.url) as hearing,
        start_texts(speech_target=f"127.0.0.1:{hearing.port}", otlp_endpoint=collector.url) as service,
    ):
        call = service.texts.ClassifySpeech(SPEECH, metadata=(("traceparent", SAMPLED),))
        await call
        trailers = dict(await call.trailing_metadata())
    assert trailers["earshot-trace-id"] == TRACE
    spans = collector.spans
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    outer = spans["earshot-classification", "ZeroShotClassifier/ClassifySpeech"]
    inner = spans["earshot-stt", "SpeechToText/Recognize"]
    assert outer.parent_span_id.hex() == CALLER
    assert inner.parent_span_id == outer.span_id
    assert _stages(spans, "earshot-classification", outer) == {
        "receive",
        "upstream",
        "queue",
        "classify",
        "send",
    }
    assert _stages(spans, "earshot-stt", inner) == {"receive", "decode", "queue", "inference", "send"}
    assert not [export for export in collector.exports if b"canary" in export.SerializeToString()]


def _stages(spans: dict[tuple[str, str], Any], service: str, whole: Any) -> set[str]:
    """The names of the stages' spans; each lies within the call's."""
    parts = {name: span for (of, name), span in spans.items() if of == service and "/" not in name}
    for span in parts.values():
        assert span.parent_span_id == whole.span_id
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert whole.start_time_unix_nano <= span.end_time_unix_nano <= whole.end_time_unix_nano
    return set(parts)


async def test_a_fault_has_its_trace_in_the_log_and_in_the_details(
    collector: Collector, start_speech: Start, logged: pytest.CaptureFixture[str]
) -> None:
    async with start_speech("crash", otlp_endpoint=collector.url, trace_share=1.0) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.speech.Recognize(REQUEST)
    trailers = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    (line,) = log_lines(logged, "call")
    (span,) = [span for (_, name), span in collector.spans.items() if "/" in name]
    assert (
        info.metadata["trace_id"] == trailers["earshot-trace-id"] == line["trace_id"] == span.trace_id.hex()
    )
    assert span.status.code == 2  # ERROR


async def test_what_the_caller_does_not_want_traced_is_not(collector: Collector, start_speech: Start) -> None:
    async with start_speech(otlp_endpoint=collector.url, trace_share=1.0) as service:
        call = service.speech.Recognize(REQUEST, metadata=(("traceparent", NOT_SAMPLED),))
        await call
        assert dict(await call.trailing_metadata())["earshot-trace-id"] == TRACE
    assert not collector.exports


async def test_what_is_not_recorded_is_one_trace_all_the_same(
    collector: Collector, start_speech: Start, start_texts: Start, logged: pytest.CaptureFixture[str]
) -> None:
    settings = {"otlp_endpoint": collector.url, "trace_share": 0.0}
    async with (
        start_speech("echo", **settings) as hearing,
        start_texts(speech_target=f"127.0.0.1:{hearing.port}", **settings) as service,
    ):
        for metadata in ((), (("traceparent", NOT_SAMPLED), ("tracestate", "vendor=1"))):
            await service.texts.ClassifySpeech(SPEECH, metadata=metadata)
    lines = log_lines(logged, "call")
    found = [
        {line["trace_id"] for line in lines if line["method"] == name}
        for name in ("Recognize", "ClassifySpeech")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 2
    assert TRACE in found[0]
    assert not collector.exports


def test_the_callers_state_goes_on() -> None:
    settings = ServiceSettings(otlp_endpoint="http://127.0.0.1:4317", trace_share=0.0)
    made = tracing(settings, "stt")
    assert made is not None
    begun = made.begin("Recognize", {"traceparent": NOT_SAMPLED, "tracestate": "vendor=1"})
    made.close()
    headers = begun.headers()
    assert headers["tracestate"] == "vendor=1"
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    assert headers["traceparent"].endswith("-00")
    assert CALLER not in headers["traceparent"]


async def test_a_share_of_none_traces_none(collector: Collector, start_speech: Start) -> None:
    async with start_speech(otlp_endpoint=collector.url, trace_share=0.0) as service:
        await service.speech.Recognize(REQUEST)
    assert not collector.exports


async def test_figures_lead_to_traces(collector: Collector, start_speech: Start) -> None:
    async with start_speech(otlp_endpoint=collector.url, trace_share=1.0) as service:
        call = service.speech.Recognize(REQUEST)
        await call
        trace_id = dict(await call.trailing_metadata())["earshot-trace-id"]
        text = ""
        while "earshot_requests_total{" not in text:
            text = await asyncio.to_thread(_open_metrics, service.metrics_port)
    assert f'trace_id="{trace_id}"' in text


def _open_metrics(port: int) -> str:
    headers = {"accept": "application/openmetrics-text; version=1.0.0"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())


async def test_a_program_that_traces_is_the_parent_of_its_calls(
    collector: Collector, start_speech: Start
) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a program")
    async with (
        start_speech(otlp_endpoint=collector.url, trace_share=0.0) as service,
        AsyncClient(f"127.0.0.1:{service.port}") as client,
    ):
        with tracer.start_as_current_span("work") as span:
            await client.recognize(clips.wav(0.5))
    recorded = collector.spans["earshot-stt", "SpeechToText/Recognize"]
    assert recorded.parent_span_id.hex() == trace.format_span_id(span.get_span_context().span_id)


async def test_off_says_nothing_of_traces(start_speech: Start) -> None:
    async with start_speech() as service:
        call = service.speech.Recognize(REQUEST, metadata=(("traceparent", SAMPLED),))
        await call
        assert "earshot-trace-id" not in dict(await call.trailing_metadata())


def test_off_costs_no_import() -> None:
    code = "import sys, earshot.stt.__main__, earshot.client; print('opentelemetry' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(errors.FailedPreconditionError, match=r"'\.\[tracing\]'"):
        tracing(ServiceSettings(otlp_endpoint="http://127.0.0.1:4317"), "stt")
