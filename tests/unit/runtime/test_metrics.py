"""The catalogue, what is made of it, and the bounds of its labels."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from earshot.gen.v1 import audio_pb2
from earshot.rpc.codecs import CODECS, codec_of
from earshot.runtime import catalog
from earshot.runtime.busy import BusyTime
from earshot.runtime.calls import Call, Stage
from earshot.runtime.catalog import Kind
from earshot.runtime.labels import CLIENT_HEADER, OTHER, Clients
from earshot.runtime.metrics import Metrics
from earshot.runtime.tallies import Spreads

Config = audio_pb2.RecognitionConfig
Explicit = audio_pb2.ExplicitDecodingConfig
UNITS = re.compile(r"_(seconds|bytes)$")


def test_what_is_exposed_is_what_the_catalogue_says() -> None:
    exposed = {family.name: family for family in Metrics("stt").registry.collect()}
    specs = {spec.name: spec for spec in (*catalog.OURS, *catalog.FROM_LIBRARY)}
    assert exposed.keys() == specs.keys()
    assert {name: family.type for name, family in exposed.items()} == {
        name: spec.kind.value for name, spec in specs.items()
    }
    assert all(exposed[spec.name].documentation == spec.meaning for spec in catalog.OURS)


def test_names_follow_the_rules() -> None:
    assert len({spec.name for spec in catalog.OURS}) == len(catalog.OURS)
    for spec in catalog.OURS:
        assert re.fullmatch(r"earshot(_[a-z]+)+", spec.name)
        found = UNITS.search(spec.name)
        assert (found[1] if found else None) == (spec.unit if spec.unit in {"seconds", "bytes"} else None)
        assert bool(spec.buckets) == (spec.kind is Kind.HISTOGRAM)
        assert spec.meaning.endswith(".")


def test_ten_thousand_names_make_one_more_series() -> None:
    metrics, clients = Metrics("stt"), Clients(["app", "batch"])
    for name in ("app", "batch", *(f"caller-{number}" for number in range(10_000))):
        call = Call(method="Recognize", client=clients.label({CLIENT_HEADER: name}))
        call.codec = codec_of(Config(), name.encode())
        metrics.count(call)
    series = [
        sample
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "earshot_requests_total"
    ]
    assert {sample.labels["client"]: sample.value for sample in series} == {
        "app": 1,
        "batch": 1,
        OTHER: 10_000,
    }


@pytest.mark.parametrize("metadata", [{}, {CLIENT_HEADER: ""}, {CLIENT_HEADER: b"app"}, {"client": "app"}])
def test_who_does_not_say_is_other(metadata: dict[str, Any]) -> None:
    assert Clients(["app"]).label(metadata) == OTHER


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"RIFF\0\0\0\0AVI ", "other"),
        (b"fLaC\0", "flac"),
        (b"OggS" + bytes(24) + b"OpusHead", "ogg_opus"),
        (b"OggS" + bytes(24) + b"\x01vorbis", "other"),
        (b"\x1aE\xdf\xa3" + bytes(200) + b"A_OPUS", "webm_opus"),
        (b"\x1aE\xdf\xa3" + bytes(200) + b"A_VORBIS", "other"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xf3\x90\x00", "mp3"),
        (b"\xff\xf1\x50\x80", "other"),  # AAC in ADTS
        (b"\xff", "other"),
        (b"", "other"),
    ],
)
def test_a_codec_is_known_by_its_first_bytes(head: bytes, codec: str) -> None:
    assert codec_of(Config(), head) == codec
    assert codec in CODECS


def test_a_stated_codec_holds() -> None:
    names = set()
    for number in Explicit.AudioEncoding.values():
        stated = Config(explicit_decoding_config=Explicit(encoding=number))
        names.add(codec_of(stated, b"fLaC"))
    unknown = Config(explicit_decoding_config=Explicit(encoding=99))  # type: ignore[arg-type]
    assert names | {codec_of(unknown, b"fLaC")} == CODECS


async def test_busy_time_counts_work_under_way_and_never_falls() -> None:
    busy, stop, seen = BusyTime(), threading.Event(), [0.0]

    def read() -> None:
        while not stop.is_set():
            seen.append(busy.seconds)

    reader = threading.Thread(target=read)
    reader.start()
    with busy.at_work(), busy.at_work():
        assert busy.count == 2
        await asyncio.sleep(0.01)
        under_way = busy.seconds
        for _ in range(20_000):
            with busy.at_work():
                pass
    stop.set()
    reader.join()
    assert busy.count == 0
    assert 0 < under_way < busy.seconds
    assert seen == sorted(seen)


def test_it_is_served_as_prometheus_reads_it() -> None:
    metrics = Metrics("stt")
    metrics.worker_busy_seconds.watch("engines", lambda: 1.5)
    metrics.model.info({"engine": 'a "b"', "model": "m", "version": ""})
    port, stop = metrics.serve("127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    finally:
        stop()
    samples = {sample.name: sample for family in families for sample in family.samples}
    assert samples["earshot_worker_busy_seconds_total"].labels == {"component": "stt", "pool": "engines"}
    assert samples["earshot_model_info"].labels["engine"] == 'a "b"'
    assert "component" not in samples["process_open_fds"].labels
    assert not [name for name in samples if name.endswith("_created")]


def test_calls_are_counted_as_prometheus_counts() -> None:
    """Up to a bound means the bound too; the newest exemplar of a bucket stays."""
    registry = CollectorRegistry()
    spreads = Spreads(registry, catalog.REQUEST_SECONDS)
    theirs = Histogram("theirs", "", registry=registry, buckets=catalog.SECONDS)
    for number, value in enumerate((0.0, 0.001, 0.0011, 0.3, 0.5, 60.0, 61.0, 0.4)):
        theirs.observe(value)
        spreads.of("Recognize", "app").observe(value, {"trace_id": str(number)} if value > 0.3 else None)
    ours, others = (
        {
            (sample.name.removeprefix(family.name), sample.labels.get("le")): sample
            for sample in family.samples
        }
        for family in registry.collect()
    )
    assert {at: sample.value for at, sample in ours.items()} == {
        at: sample.value for at, sample in others.items()
    }
    exemplars = {at: one.exemplar.labels["trace_id"] for (_, at), one in ours.items() if one.exemplar}
    assert exemplars == {"0.5": "7", "60.0": "5", "+Inf": "6"}


def test_figures_of_calls_can_be_read_while_new_ones_come() -> None:
    """Who scrapes does so from another thread."""
    metrics, stop = Metrics("stt"), threading.Event()

    def scrape() -> int:
        pages = 0
        while not stop.is_set():
            generate_latest(metrics.registry)
            pages += 1
        return pages

    with ThreadPoolExecutor(1) as pool:
        scraping = pool.submit(scrape)
        for number in range(3000):
            metrics.begin(f"Method{number}")
            metrics.count(Call(method=f"Method{number}", seconds=0.1, stages=dict.fromkeys(Stage, 0.1)))
        stop.set()
        assert scraping.result()


def test_a_page_of_a_busy_replica_is_small() -> None:
    """Ten clients, each method, every codec, and some errors: Prometheus reads it every few seconds."""
    metrics = Metrics("stt")
    for client in (*(f"client-{number}" for number in range(10)), OTHER):
        for method in ("Recognize", "StreamingRecognize", "ListModels"):
            for codec in CODECS if method != "ListModels" else ("none",):
                for code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT):
                    call = Call(method=method, client=client, codec=codec, code=code)
                    call.responded = call.began
                    call.stages = dict.fromkeys(Stage, 0.1)
                    metrics.count(call)
                metrics.audio_seconds.labels(codec, client).inc()
                metrics.decoded_bytes.labels(codec, client).inc()
                metrics.audio_bytes.labels(codec, client).inc()
        metrics.speech_seconds.labels(client).inc()
        metrics.silence_skipped_seconds.labels(client).inc()
        metrics.billed.labels("audio_seconds", client).inc()
        metrics.cost.labels(client).inc()
    assert len(generate_latest(metrics.registry)) < 200 * 1024
