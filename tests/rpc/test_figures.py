"""What a service counts and logs of real calls."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from collections.abc import Callable

import grpc
import psutil
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.runtime import catalog
from tests.rpc import clips
from tests.rpc.conftest import Running, Start, free_port, log_lines
from tests.rpc.test_life import Process

CLIP = clips.wav(0.5)
REQUEST = speech_pb2.RecognizeRequest(content=CLIP)
TEXT = classification_pb2.ClassifyRequest(
    inputs=[{"text": "eleven characters"}], config={"candidate_labels": ["one", "two"]}
)
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def figures(service: Running, settled: Callable[[Figures], bool]) -> Figures:
    """What is exposed, once it is as ``settled`` wants it: a call is counted after its answer has gone."""
    while True:
        found = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in await asyncio.to_thread(scrape, service.metrics_port)
            for sample in family.samples
        }
        if settled(found):
            return found
        await asyncio.sleep(0.02)


def scrape(port: int) -> list[Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def value(found: Figures, name: str, component: str = "stt", **labels: str) -> float:
    return found[name, frozenset({"component": component, **labels}.items())]


def total(found: Figures, name: str) -> float:
    return sum(value for (one, _), value in found.items() if one == name)


def counted(calls: int) -> Callable[[Figures], bool]:
    return lambda found: total(found, "earshot_requests_total") == calls


async def test_calls_are_counted_by_method_code_and_client(start_speech: Start) -> None:
    async with start_speech(clients="app, batch") as service:
        await service.speech.Recognize(REQUEST, metadata=(("x-earshot-client", "app"),))
        await service.speech.Recognize(REQUEST, metadata=(("x-earshot-client", "somebody"),))
        with pytest.raises(grpc.aio.AioRpcError):
            await service.speech.Recognize(speech_pb2.RecognizeRequest())
        found = await figures(service, counted(3))
    call = {"method": "Recognize", "client": "app"}
    assert value(found, "earshot_requests_total", code="OK", **call) == 1
    other = call | {"client": "other"}
    assert value(found, "earshot_requests_total", code="OK", **other) == 1
    assert value(found, "earshot_requests_total", code="INVALID_ARGUMENT", **other) == 1
    assert value(found, "earshot_request_seconds_count", **other) == 2
    assert value(found, "earshot_received_bytes_total", codec="wav", **call) == REQUEST.ByteSize()
    assert value(found, "earshot_sent_bytes_total", codec="wav", **call) > 0
    assert value(found, "earshot_requests_in_flight", method="Recognize") == 0


async def test_audio_is_measured(start_speech: Start) -> None:
    silence = speech_pb2.RecognizeRequest(content=clips.wav_of(bytes(32_000)))
    async with start_speech() as service:
        await service.speech.Recognize(REQUEST)
        await service.speech.Recognize(silence)
        found = await figures(service, counted(2))
    assert value(found, "earshot_audio_seconds_total", codec="wav", client="other") == 1.5
    assert value(found, "earshot_decoded_bytes_total", codec="wav", client="other") == 48_000
    assert value(found, "earshot_audio_bytes_total", codec="wav", client="other") == 48_000 + 2 * 44
    assert value(found, "earshot_speech_seconds_total", client="other") == 0.5
    assert value(found, "earshot_real_time_factor_count") == 2
    assert value(found, "earshot_model_info", engine="fake", model="fake", version="1") == 1


@pytest.mark.parametrize(("rate", "is_decoded"), [(16_000, False), (8_000, True)])
async def test_samples_keep_no_decoder_busy(start_speech: Start, rate: int, is_decoded: bool) -> None:
    request = speech_pb2.RecognizeRequest(content=clips.wav(0.5, rate))
    async with start_speech() as service:
        await service.speech.Recognize(request)
        found = await figures(service, counted(1))
    assert (value(found, "earshot_worker_busy_seconds_total", pool="decoders") > 0) == is_decoded
    assert value(found, "earshot_worker_busy_seconds_total", pool="engines") > 0


async def test_stages_add_up_to_the_whole(start_speech: Start) -> None:
    async with start_speech("slow") as service:
        await service.speech.Recognize(REQUEST)
        found = await figures(service, counted(1))
    stages = {
        dict(labels)["stage"]: seconds
        for (name, labels), seconds in found.items()
        if name == "earshot_stage_seconds_sum"
    }
    assert stages.keys() == {"receive", "decode", "queue", "inference", "send"}
    whole = value(found, "earshot_request_seconds_sum", method="Recognize", client="other")
    assert 0.95 * whole <= sum(stages.values()) <= whole


async def test_texts_are_measured(start_texts: Start) -> None:
    async with start_texts() as service:
        await service.texts.Classify(TEXT)
        found = await figures(service, counted(1))
    texts = {"component": "classification"}
    assert value(found, "earshot_characters_total", client="other", **texts) == 17
    stage = {"method": "Classify", "stage": "classify"}
    assert value(found, "earshot_stage_seconds_count", **texts, **stage) == 1
    method = {"method": "Classify", "codec": "none", "client": "other"}
    assert value(found, "earshot_received_bytes_total", **texts, **method) == TEXT.ByteSize()


async def test_after_three_full_replicas_the_proxy_is_told_to_ask_no_more(start_speech: Start) -> None:
    async with start_speech("slow", queue=0) as service:
        busy = asyncio.ensure_future(service.speech.Recognize(REQUEST))
        await figures(service, lambda found: value(found, "earshot_admitted_requests") == 1)
        told = {}
        for attempt in ("1", "", "-3", "x", "9" * 400, "2", "3", "4"):
            call = service.speech.Recognize(REQUEST, metadata=(("x-envoy-attempt-count", attempt),))
            assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            told[attempt] = "x-envoy-ratelimited" in dict(await call.trailing_metadata())
        busy.cancel()
    assert [attempt for attempt, enough in told.items() if enough] == ["3", "4"]


async def test_where_all_are_full_new_calls_are_told_so_as_well(start_speech: Start) -> None:
    async def is_told(attempt: str) -> bool:
        call = service.speech.Recognize(REQUEST, metadata=(("x-envoy-attempt-count", attempt),))
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return "x-envoy-ratelimited" in dict(await call.trailing_metadata())

    async with start_speech("slow", queue=0) as service:
        busy = asyncio.ensure_future(service.speech.Recognize(REQUEST))
        await figures(service, lambda found: value(found, "earshot_admitted_requests") == 1)
        before = [await is_told("1") for _ in range(2)]
        again = [await is_told("2") for _ in range(5)]
        after = [await is_told("1") for _ in range(4)]
        busy.cancel()
    assert (any(before), again[0], again[4], after) == (False, False, True, [True, True, True, False])


async def test_a_full_replica_reads_no_message(start_speech: Start) -> None:
    async with start_speech("slow", queue=0) as service:
        busy = asyncio.ensure_future(service.speech.Recognize(REQUEST))
        await figures(service, lambda found: value(found, "earshot_admitted_requests") == 1)
        assert await service.speech.Recognize(REQUEST).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await service.speech.ListModels(speech_pb2.SpeechToTextListModelsRequest())).models
        await busy
        found = await figures(service, counted(3))
    assert total(found, "earshot_received_bytes_total") == REQUEST.ByteSize()


async def test_a_full_service_counts_whom_it_sends_away(start_speech: Start) -> None:
    async with start_speech("slow", queue=0) as service:
        calls = [service.speech.Recognize(REQUEST) for _ in range(3)]
        await asyncio.gather(*calls, return_exceptions=True)
        found = await figures(service, counted(3))
    assert value(found, "earshot_rejected_total", reason="queue_full") == 2
    refused = {"method": "Recognize", "code": "RESOURCE_EXHAUSTED", "client": "other"}
    assert value(found, "earshot_requests_total", **refused) == 2


def _engine() -> psutil.Process:
    """The engine's process: the fake's, which has loaded the tests' fakes, is the younger of the two."""
    workers = [one for one in psutil.Process().children() if "earshot.runtime.worker" in one.cmdline()]
    return max(workers, key=lambda one: float(one.create_time()))


async def test_a_worker_that_dies_takes_no_figure_with_it(start_speech: Start) -> None:
    async with start_speech("slow") as service:
        await service.speech.Recognize(REQUEST)
        before = await figures(service, counted(1))
        call = asyncio.ensure_future(service.speech.Recognize(REQUEST))
        busy = ("earshot_workers_busy", frozenset({("component", "stt"), ("pool", "engines")}))
        await figures(service, lambda found: found[busy] == 1)
        os.kill(_engine().pid, signal.SIGKILL)
        await call
        after = await figures(service, counted(2))
    assert value(after, "earshot_worker_restarts_total", pool="engines") == 1
    assert value(before, "earshot_worker_restarts_total", pool="engines") == 0
    counters = {spec.exposed for spec in catalog.OURS if spec.kind is catalog.Kind.COUNTER}
    fallen = [key for key, was in before.items() if key[0] in counters and after[key] < was]
    assert not fallen
    done = {"method": "Recognize", "code": "OK", "client": "other"}
    assert value(after, "earshot_requests_total", **done) == 2
    assert value(after, "earshot_audio_seconds_total", codec="wav", client="other") == 1.0


async def test_draining_shows() -> None:
    port = free_port()
    service = await Process.start(EARSHOT_METRICS_PORT=str(port), EARSHOT_DRAIN_SECONDS="60")
    try:
        await service.events("ready")
        serving = _states(await asyncio.to_thread(scrape, port))
        service.process.terminate()
        await service.events("draining")
        ending = _states(await asyncio.to_thread(scrape, port))
    finally:
        service.process.kill()
        await service.process.communicate()
    assert serving == {"earshot_ready": 1, "earshot_draining": 0}
    assert ending == {"earshot_ready": 0, "earshot_draining": 1}


def _states(families: list[Metric]) -> dict[str, float]:
    samples = [sample for family in families for sample in family.samples]
    return {one.name: one.value for one in samples if one.name in {"earshot_ready", "earshot_draining"}}


async def test_the_log_line_says_where_the_time_went(
    start_speech: Start, logged: pytest.CaptureFixture[str]
) -> None:
    async with start_speech() as service:
        await service.speech.Recognize(REQUEST, metadata=(("x-request-id", "r-1"),))
        await figures(service, counted(1))
    (line,) = log_lines(logged, "call")
    assert (line["request_id"], line["method"], line["code"]) == ("r-1", "Recognize", "OK")
    assert line["audio_seconds"] == 0.5
    assert line["codec"] == "wav"
    assert line["stages"].keys() == {"receive", "decode", "queue", "inference", "send"}
