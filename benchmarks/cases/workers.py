"""What a second worker brings, and how soon the front process answers while all are busy."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import checkpoints, data, harness, saturation, stalls
from benchmarks.harness import Figure, Ratio, Report, Scale
from benchmarks.peers import transformers_pipeline
from benchmarks.saturation import Caller
from benchmarks.service import checked, service

CORES = os.cpu_count() or 1
_ONE, _TWO = "1 worker", "2 workers"
_ENGINES: dict[str, tuple[str, dict[str, str]]] = {
    "faster-whisper": ("stt", {"engine": "faster-whisper", "model": str(data.DIGITS_MODEL)}),
    "whisper": ("stt", {"engine": "whisper", "model": str(data.DIGITS_MODEL)}),
    "pocketsphinx": ("stt", {"engine": "pocketsphinx"}),
    "embedding": ("classification", {"engine": "embedding"}),
    "nli": ("classification", {"engine": "nli"}),  # whose checkpoint is made
}
_STALL, _CHECK = 20.0, 50.0  # milliseconds that they may take


def measure(scale: Scale) -> Report:
    """Throughput of two workers over one, then health checks beside each engine at saturation."""
    report = Report(
        "Workers, and the process in front of them",
        "A service by itself, without Envoy. Two workers against one: clips of 10 s on faster-whisper in "
        "tiny.en's shape (the smallest that OpenAI publishes, made to say 27 tokens), twice as many calls in "
        "the air as there are workers; who calls is on the same cores. Then each engine, three times: a "
        "hundred health checks a second from another process, while every core has a worker at work and "
        "twice as many calls wait. "
        "Longest stall: how long the front's event loop was busy at a stretch by its own clock, with "
        "what the machine gave to others in between.",
    )
    scaling(report, scale)
    with TemporaryDirectory() as folder:
        model = transformers_pipeline.checkpoint(Path(folder) / "nli")
        for name, (kind, settings) in _ENGINES.items():
            more = {"model": str(model), "cache": str(Path(folder) / "cache")} if name == "nli" else {}
            responsiveness(report, name, (kind, settings | more), scale)
    return report


def scaling(report: Report, scale: Scale) -> None:
    """Both services are there all the time; an idle one costs nothing."""
    requests = [saturation.recognize(one) for one in data.clips(10, scale.of(8, 2))]
    with ExitStack() as stack:
        model = stack.enter_context(checkpoints.smallest(scale)).path
        contenders: dict[str, Callable[[], float]] = {}
        for name, workers in ((_ONE, 1), (_TWO, 2)):
            target = stack.enter_context(
                service("stt", workers=workers, engine="faster-whisper", model=str(model))
            )
            contenders[name] = clips_per_second(target, requests, 2 * workers, scale.of(8, 2) * workers)
        runs = harness.interleaved(contenders, scale.of(4, 1))
    report.ratios.append(Ratio.of("2 workers / 1 worker", runs[_TWO], runs[_ONE], ">= 1.8"))
    report.figures += [Figure.of(f"10 s clips, {name}", "clips/s", each) for name, each in runs.items()]


def clips_per_second(
    target: str, requests: Sequence[bytes], at_a_time: int, count: int
) -> Callable[[], float]:
    """Of a service."""
    caller = Caller(target, saturation.RECOGNIZE, saturation.words)
    expected = caller.run(requests, None, len(requests), at_a_time)
    return lambda: harness.per_second(lambda: len(caller.run(requests, expected, count, at_a_time)) and count)


def responsiveness(report: Report, name: str, engine: tuple[str, dict[str, str]], scale: Scale) -> None:
    """The 99th percentile of the health checks beside one engine, and the longest stall, each time anew."""
    found = [responding(engine, scale) for _ in range(scale.of(3, 1))]
    longest, percentiles = ([each[at] for each in found] for at in (0, 1))
    stall, check = f"longest stall of the event loop, {name}", f"health check, 99th percentile, {name}"
    report.ratios += [
        Ratio.of(f"{stall} / {_STALL:g} ms", longest, [_STALL] * len(found), "<= 1"),
        Ratio.of(f"{check} / {_CHECK:g} ms", percentiles, [_CHECK] * len(found), "<= 1"),
    ]
    report.figures += [Figure.of(stall, "ms", longest), Figure.of(check, "ms", percentiles)]


def responding(engine: tuple[str, dict[str, str]], scale: Scale) -> tuple[float, float]:
    """Milliseconds of both, of one service."""
    kind, settings = engine
    with TemporaryDirectory() as folder:
        path = Path(folder) / "stalls.json"
        with service(kind, path, workers=CORES, **settings) as target:
            since = time.monotonic()
            took = beside(target, kind, scale.of(8.0, 1.0))
            until = time.monotonic()
        stall = stalls.longest(path, since, until)
    return 1000 * stall, statistics.quantiles(took, n=100, method="inclusive")[-1]


def beside(target: str, kind: str, seconds: float) -> list[float]:
    """The milliseconds of each health check while the workers are busy."""
    with checked(target, seconds) as checks:
        ended = threading.Event()
        load = threading.Thread(target=saturate, args=(target, kind, ended))
        load.start()
        took = [1000 * one for one in checks.result()]
        ended.set()
        load.join()
    return took


def saturate(target: str, kind: str, ended: threading.Event) -> None:
    """Keeps all workers busy until the end, and some calls waiting."""
    if kind == "stt":
        caller = Caller(target, saturation.RECOGNIZE, saturation.words)
        requests = [saturation.recognize(one) for one in data.clips(10, 4)]
    else:
        caller = Caller(target, saturation.CLASSIFY, saturation.best_labels)
        requests = [saturation.classify([text], data.LABELS) for text in data.texts(64)]
    expected = caller.run(requests, None, len(requests), 2 * CORES)
    while not ended.is_set():
        caller.run(requests, expected, len(requests), 2 * CORES)
    caller.close()
