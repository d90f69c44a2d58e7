"""320 KB of audio by gRPC and by FastAPI: the wire alone, an engine behind it, and a narrow link."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import grpc
import psutil

from benchmarks import cpu, data, harness, narrow, saturation
from benchmarks.harness import Figure, Ratio, Report, Runs, Scale
from benchmarks.peers import fastapi_server as peer
from benchmarks.saturation import Caller
from benchmarks.stack import running
from earshot.client import Client, RetryPolicy
from earshot.local import replicas
from earshot.local.ports import free_ports
from earshot.stt.types import SAMPLE_RATE, Samples

CORES = os.cpu_count() or 1
LINK = 10e6 / 8  # bytes a second: 10 Mbit/s
OPUS = "opus:24k"
GRPC, GRPC_OPUS = "gRPC", "gRPC, Opus"
RAW, MULTIPART = "FastAPI, raw body", "FastAPI, multipart"
_NOTHING = "nothing was heard"


def measure(scale: Scale) -> Report:
    """Three times, from the wire to the whole way."""
    report = Report(
        "Unary calls of 320 KB against FastAPI",
        "Ten seconds of audio as raw samples, to us and to FastAPI on uvicorn as its documentation says to "
        "run it (`benchmarks/peers/fastapi_app.py`). First the wire alone: both answer at once, and what "
        "counts is the server's CPU, with memory kept as our image has it in both; ours has its checks, "
        "figures and log line, FastAPI its bare endpoint. Then the same Whisper in both, a worker for each "
        "core, ours behind Envoy. Then one caller over a link of 10 Mbit/s upwards, with the time to encode "
        "in the sum. Every status and every answer is "
        "checked.",
    )
    clips = data.clips(10, scale.of(4, 1))
    wire(report, clips, scale)
    model = ("faster-whisper", str(data.DIGITS_MODEL))
    workers = scale.of(CORES, 1)
    arguments = ("--stt", "1", "--classification", "1", "--workers", str(workers))
    chosen = ("--stt-engine", model[0], "--stt-model", model[1])
    with running(*arguments, *chosen) as (_, ours, _), peer.running(*model, workers) as (_, theirs):
        caller = Caller(f"127.0.0.1:{ours}", saturation.RECOGNIZE, saturation.words)
        sent = Sent(caller, [saturation.recognize(one) for one in clips], theirs, clips)
        sent.expected += caller.run(sent.requests, None, len(clips), CORES)
        engine(report, sent, scale)
        caller.close()
        link(report, clips, sent.expected, (ours, theirs), scale)
    return report


@dataclass
class Sent:
    """The same clips in every form."""

    caller: Caller
    requests: Sequence[bytes]
    port: int  # of the peer
    clips: Sequence[Samples]

    def __post_init__(self) -> None:
        self.expected: list[str] = []
        self.bodies = [one.tobytes() for one in self.clips]
        self.forms = [peer.form(body) for body in self.bodies]

    def grpc(self, count: int, at_a_time: int) -> int:
        """By gRPC."""
        self.caller.run(self.requests, self.expected, count, at_a_time)
        return count

    def raw(self, count: int, at_a_time: int) -> int:
        """As the body of a post."""
        load = peer.Load(self.port, peer.RAW, self.bodies, self.expected)
        return load.run(count, at_a_time)

    def multipart(self, count: int, at_a_time: int) -> int:
        """As a form."""
        load = peer.Load(self.port, peer.MULTIPART, self.forms, self.expected)
        return load.run(count, at_a_time)


def wire(report: Report, clips: Sequence[Samples], scale: Scale) -> None:
    """Both answer at once."""
    count, rounds = scale.of((400, 6), (20, 1))
    with edge() as (ours, port), peer.running() as (theirs, peer_port):
        caller = Caller(f"127.0.0.1:{port}", saturation.RECOGNIZE, saturation.words)
        sent = Sent(caller, [saturation.recognize(one) for one in clips], peer_port, clips)
        sent.expected += [_NOTHING] * len(clips)
        small = [saturation.recognize_opus(one, OPUS) for one in clips]
        opus = Sent(caller, small, peer_port, clips)
        opus.expected += sent.expected
        contenders: dict[str, Callable[[], float]] = {
            GRPC: partial(cost, ours, sent.grpc, count),
            GRPC_OPUS: partial(cost, ours, opus.grpc, count),
            RAW: partial(cost, theirs, sent.raw, count),
            MULTIPART: partial(cost, theirs, sent.multipart, count),
        }
        runs = harness.interleaved(contenders, rounds)
        caller.close()
    what = "server CPU, no engine"
    report.ratios += [
        Ratio.of(f"{what}: multipart / gRPC", runs[MULTIPART], runs[GRPC], ">= 1"),
        Ratio.of(f"{what}: raw body / gRPC", runs[RAW], runs[GRPC]),
        Ratio.of(f"{what}: raw body / gRPC with our Opus", runs[RAW], runs[GRPC_OPUS], ">= 1"),
    ]
    figures(report, what, "ms a call", {name: [one * 1e3 for one in each] for name, each in runs.items()})


def engine(report: Report, sent: Sent, scale: Scale) -> None:
    """The same Whisper behind each, at saturation."""
    count, rounds = scale.of((12, 3), (1, 1))
    ways: Mapping[str, Callable[[int, int], int]] = {
        GRPC: sent.grpc,
        RAW: sent.raw,
        MULTIPART: sent.multipart,
    }
    contenders = {
        name: partial(harness.per_second, partial(send, count, 2 * CORES)) for name, send in ways.items()
    }
    runs = harness.interleaved(contenders, rounds)
    what = "clips/s, the same Whisper in both"
    report.ratios += [
        Ratio.of(f"{what}: gRPC and Envoy / multipart", runs[GRPC], runs[MULTIPART]),
        Ratio.of(f"{what}: gRPC and Envoy / raw body", runs[GRPC], runs[RAW]),
    ]
    figures(report, what, "clips/s", runs)


def link(
    report: Report, clips: Sequence[Samples], expected: Sequence[str], ports: tuple[int, int], scale: Scale
) -> None:
    """One caller, one clip after the other; Opus may change a word, so its answers only have to be there."""
    ours, theirs = ports
    with ExitStack() as stack:
        narrow_ours, narrow_theirs = (stack.enter_context(narrow.way(port, LINK)) for port in (ours, theirs))
        client = stack.enter_context(
            Client(f"127.0.0.1:{narrow_ours}", timeout=120, retry=RetryPolicy(max_attempts=1))
        )
        raw = peer.Load(narrow_theirs, peer.RAW, [one.tobytes() for one in clips], expected)

        def send(codec: str | None) -> float:
            started = time.perf_counter()
            for samples in clips:
                heard = client.recognize(samples, sample_rate=SAMPLE_RATE, codec=codec)
                assert heard.text, "nothing was heard"
            return (time.perf_counter() - started) / len(clips)

        def post() -> float:
            return len(clips) and 1 / harness.per_second(lambda: raw.run(len(clips), 1))

        contenders: dict[str, Callable[[], float]] = {
            GRPC: partial(send, None),
            GRPC_OPUS: partial(send, OPUS),
            "gRPC, auto": partial(send, "auto"),
            RAW: post,
        }
        runs = harness.interleaved(contenders, scale.of(3, 1))
    what = "10 Mbit/s, time of a clip"
    report.ratios.append(
        Ratio.of(f"{what}: raw body / gRPC with our Opus", runs[RAW], runs[GRPC_OPUS], ">= 1")
    )
    figures(report, what, "s", runs)


def figures(report: Report, what: str, unit: str, runs: Runs) -> None:
    """One for each contender."""
    report.figures += [Figure.of(f"{what}: {name}", unit, each) for name, each in runs.items()]


def cost(server: psutil.Process, send: Callable[[int, int], int], count: int) -> float:
    """CPU seconds of the server for each of so many calls, 8 at a time."""
    before = cpu.seconds_of_all(server)
    send(count, 8)
    return (cpu.seconds_of_all(server) - before) / count


@contextmanager
def edge() -> Iterator[tuple[psutil.Process, int]]:
    """Our own edge, once it answers."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.peers.bare_edge"]
    settings = {"EARSHOT_PORT": str(port), "EARSHOT_METRICS_PORT": "0", "EARSHOT_DRAIN_SECONDS": "0"}
    environment = os.environ | replicas.ENVIRONMENT | settings
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=60)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()
