"""What it costs to be watched: figures and log lines of every call, traces of one in a hundred, a scrape."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from benchmarks import cpu, harness, saturation
from benchmarks.harness import Figure, Ratio, Report, Scale, Table
from benchmarks.saturation import Caller
from benchmarks.stack import free_port
from earshot.gen.v1 import speech_pb2, speech_pb2_grpc

OFF, ON, TRACED = "not watched", "figures and log", "and traces at 1 %"
LIST_MODELS = "/earshot.v1.SpeechToText/ListModels"
AT_A_TIME = 8  # calls
CLIENTS = tuple(f"client-{number}" for number in range(10))
READY_WITHIN = 120.0  # seconds


@dataclass(frozen=True)
class Watched:
    """A service of one kind."""

    process: psutil.Process  # its front process
    port: int
    metrics_port: int

    @property
    def target(self) -> str:
        """Where to call it."""
        return f"127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Of the front process alone: it counts and logs."""
        return cpu.seconds(self.process)


def measure(scale: Scale) -> Report:
    """A call that does nothing, then a text to be classified; then a scrape while calls are answered."""
    report = Report(
        "What watching costs",
        "The same service three times, in turn: as it is; as it is, with spans to a collector for one call "
        "in a hundred; and with its counting and logging of calls taken out. Calls go straight to it. "
        "ListModels is the bare RPC: nothing is computed for it. A text is the cheapest real call.",
    )
    nothing, text = (
        (LIST_MODELS, b""),
        (saturation.CLASSIFY, saturation.classify(["a goal"], ["sport", "food"])),
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, service, call in (("bare RPC", "stt", nothing), ("one text", "classification", text)):
            with contenders(service, Path(folder)) as services:
                compare(report, name, services, call, scale)
                if service == "stt":
                    scrape(report, services[ON], scale)
    return report


@contextmanager
def contenders(service: str, folder: Path) -> Iterator[Mapping[str, Watched]]:
    """All three, ready; idle ones take nothing from the one that is measured."""
    with ExitStack() as cleanup:
        collector = cleanup.enter_context(collecting())
        traced = {"EARSHOT_OTLP_ENDPOINT": collector, "EARSHOT_TRACE_SHARE": "0.01"}
        real = ("-m", f"earshot.{service}")
        peers = {
            OFF: (("-m", "benchmarks.peers.unobserved", service), {}),
            ON: (real, {}),
            TRACED: (real, traced),
        }
        yield {
            name: cleanup.enter_context(serving(command, settings, folder / f"{service}-{name}.log"))
            for name, (command, settings) in peers.items()
        }


@contextmanager
def serving(command: tuple[str, ...], settings: dict[str, str], log: Path) -> Iterator[Watched]:
    """A service's process, once it is ready; its log goes to a file, as with ``earshot up``."""
    port, metrics_port = free_port(), free_port()
    ports = {"EARSHOT_PORT": str(port), "EARSHOT_METRICS_PORT": str(metrics_port)}
    environment = os.environ | ports | settings | {"EARSHOT_CLIENTS": ",".join(CLIENTS)}
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, *command], env=environment, stdout=output) as process,
    ):
        try:
            wait_ready(port)
            yield Watched(psutil.Process(process.pid), port, metrics_port)
        finally:
            process.kill()


def wait_ready(port: int) -> None:
    """Until it says that it serves."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            answer = check(health_pb2.HealthCheckRequest(), timeout=READY_WITHIN, wait_for_ready=True)
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.1)
    sys.exit("a service did not get ready")


@contextmanager
def collecting() -> Iterator[str]:
    """The address of a collector of traces that throws them away."""
    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Sink(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


class _Sink(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request: object, context: object) -> object:  # noqa: N802 - the method's name in the proto
        return trace_service_pb2.ExportTraceServiceResponse()


def compare(
    report: Report, name: str, services: Mapping[str, Watched], call: tuple[str, bytes], scale: Scale
) -> None:
    """Calls a second, and the front process's time for each."""
    method, request = call
    callers = {one: Caller(service.target, method, str) for one, service in services.items()}
    count, rounds = scale.of((400, 60), (100, 2))
    spent: dict[str, list[float]] = {one: [] for one in services}

    def run(one: str) -> float:
        before = services[one].cpu_seconds()
        rate = harness.per_second(lambda: len(callers[one].run([request], None, count, AT_A_TIME)) and count)
        spent[one].append((services[one].cpu_seconds() - before) / count)
        return rate

    for one in services:
        run(one)
        spent[one].clear()
    runs = harness.interleaved({one: partial(run, one) for one in services}, rounds)
    for one, bar in ((ON, ">= 0.98"), (TRACED, ">= 0.97")):
        report.ratios.append(Ratio.of(f"{name}, calls/s: {one} / {OFF}", runs[one], runs[OFF], bar))
        report.ratios.append(Ratio.of(f"{name}, CPU of the service: {one} / {OFF}", spent[one], spent[OFF]))
    for one in services:
        report.figures.append(Figure.of(f"{name}, {one}", "calls/s", runs[one]))
        report.figures.append(
            Figure.of(f"{name}, CPU a call, {one}", "us", [each * 1e6 for each in spent[one]])
        )
        callers[one].close()


def scrape(report: Report, service: Watched, scale: Scale) -> None:
    """Reads the figures again and again of a pod that eleven clients call, and that answers meanwhile."""
    with grpc.insecure_channel(service.target) as channel, ThreadPoolExecutor(1) as beside:
        everything(speech_pb2_grpc.SpeechToTextStub(channel))
        caller = Caller(service.target, LIST_MODELS, str)
        calls = beside.submit(caller.run, [b""], None, scale.of(10_000, 500), AT_A_TIME)
        took, page = [], b""
        while not calls.done():
            started = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{service.metrics_port}/metrics") as answer:
                page = answer.read()
            took.append((time.perf_counter() - started) * 1e3)
            time.sleep(0.1)
        calls.result()
        caller.close()
    sizes = (len(page) / 1e3, len(gzip.compress(page)) / 1e3, page.count(b"\n"))
    report.figures.append(Figure.of("a scrape of a busy pod (bar: 50)", "ms", took))
    columns = ("kB (bar: 200)", "kB as Prometheus asks for it, in gzip", "lines")
    report.tables.append(Table("A page of eleven clients", columns, (sizes,)))


def everything(speech: speech_pb2_grpc.SpeechToTextStub) -> None:
    """Calls of every client, with and without an error: each has series of its own."""
    silence = bytes(3200)
    requests = (
        speech_pb2.RecognizeRequest(content=silence),
        speech_pb2.RecognizeRequest.FromString(saturation.recognize(np.zeros(1600, np.int16))),
    )
    for client in (*CLIENTS, "somebody"):
        metadata = (("x-earshot-client", client),)
        speech.ListModels(speech_pb2.SpeechToTextListModelsRequest(), metadata=metadata)
        for request in requests:
            try:
                speech.Recognize(request, metadata=metadata, timeout=60)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                    raise
