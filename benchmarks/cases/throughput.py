"""What is left of the engine's own speed behind gRPC and Envoy, at saturation, on the same cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import checkpoints, data, harness, saturation
from benchmarks.checkpoints import DIGITS, Checkpoint
from benchmarks.harness import Figure, Ratio, Report, Runs, Scale
from benchmarks.peers import bare_engine
from benchmarks.peers.bare_engine import BareEngines
from benchmarks.saturation import Caller
from benchmarks.stack import running

CORES = os.cpu_count() or 1
_STACK = ("--stt", "1", "--classification", "1", "--workers", str(CORES))
_BARE, _SERVED = "bare engine", "through Envoy"


def measure(scale: Scale) -> Report:
    """Clips of 10 s on Whisper, then texts on the sentence encoder, one and 32 a request."""
    report = Report(
        "Throughput through Envoy against the bare engine",
        "The same engine and weights on the same cores: a process for each core that does nothing else, "
        "against the whole way (caller, Envoy, the service, its workers) on this machine. Raw samples of "
        "10 s to faster-whisper, in tiny.en's shape (the smallest that OpenAI publishes, made to say 27 "
        "tokens) and with a checkpoint of digits, a fifth of that; short texts to the default sentence "
        "encoder. Every status and every answer is checked against the bare engine's.",
    )
    with checkpoints.smallest(scale) as smallest, running(*_STACK, *smallest.arguments) as (_, port, _):
        clips(report, port, smallest, ">= 0.95", scale.of((4, 4), (1, 1)))
    with running(*_STACK, *DIGITS.arguments) as (_, port, _):
        clips(report, port, DIGITS, "", scale.of((12, 4), (1, 1)))
        texts(report, port, 1, ">= 0.6", scale)
        texts(report, port, 32, ">= 0.9", scale)
    return report


def clips(report: Report, port: int, checkpoint: Checkpoint, bar: str, amount: tuple[int, int]) -> None:
    """Speech: the words are those that the bare engine hears."""
    work = data.clips(10, 6)
    make = (bare_engine.speech, ("faster-whisper", str(checkpoint.path)))
    caller = Caller(f"127.0.0.1:{port}", saturation.RECOGNIZE, saturation.words)
    requests = [saturation.recognize(one) for one in work]
    runs = against(make, work, (caller, requests), amount)
    add(report, f"10 s clips, {checkpoint.name}", "clips/s", runs, bar)


def texts(report: Report, port: int, size: int, bar: str, scale: Scale) -> None:
    """Texts: the best labels are those of the bare engine, which has them in batches of the same size."""
    written = data.texts(scale.of(256, 64))
    work = [written[at : at + size] for at in range(0, len(written), size)]
    make = (bare_engine.text, ("embedding", data.LABELS))
    caller = Caller(f"127.0.0.1:{port}", saturation.CLASSIFY, saturation.best_labels)
    requests = [saturation.classify(one, data.LABELS) for one in work]
    runs = against(make, work, (caller, requests), scale.of((768 // size, 7), (64 // size, 1)))
    name = "texts, one a request" if size == 1 else f"texts, {size} a request"
    add(report, name, "texts/s", {one: [each * size for each in found] for one, found in runs.items()}, bar)


def against(
    make: tuple[Callable[..., Any], tuple[Any, ...]],
    work: Sequence[Any],
    calls: tuple[Caller, Sequence[bytes]],
    amount: tuple[int, int],
) -> Runs:
    """Pieces of work a second of the bare engine and of the service; ``amount``: of each core, and rounds."""
    caller, requests = calls
    each, rounds = amount
    with bare_engine.running(*make, work, CORES) as engines:
        expected = engines.run(len(work))
        caller.run(requests, expected, len(requests), 4 * CORES)
        contenders = {
            _BARE: lambda: harness.per_second(lambda: bare(engines, each)),
            _SERVED: lambda: harness.per_second(
                lambda: len(caller.run(requests, expected, each * CORES, 4 * CORES)) and each * CORES
            ),
        }
        runs = harness.interleaved(contenders, rounds)
    caller.close()
    return runs


def bare(engines: BareEngines, each: int) -> int:
    """Lets every process do ``each``."""
    engines.run(each)
    return each * len(engines.pipes)


def add(report: Report, name: str, unit: str, runs: Runs, bar: str) -> None:
    """The ratio and both figures."""
    report.ratios.append(Ratio.of(f"{name}: through Envoy / bare engine", runs[_SERVED], runs[_BARE], bar))
    report.figures += [Figure.of(f"{name}, {one}", unit, runs[one]) for one in (_SERVED, _BARE)]
