"""What RPC and Envoy cost, beside the recognition that they carry."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil

from benchmarks import checkpoints, cpu, data, saturation
from benchmarks.cases.footprint import role
from benchmarks.checkpoints import DIGITS, Checkpoint
from benchmarks.harness import Figure, Ratio, Report, Scale
from benchmarks.saturation import Caller
from benchmarks.stack import running

CORES = os.cpu_count() or 1
_ROLES = {"front process": "front", "Envoy": "Envoy", "engine": "engine", "decoder": "decoder"}


def measure(scale: Scale) -> Report:
    """Clips of 10 s on Whisper as small as it is published, then on one that is smaller still."""
    report = Report(
        "The cost of RPC beside recognition",
        "CPU of each process while clips of 10 s (320 KB of raw samples, which need no decoder) are "
        "written down at saturation by faster-whisper: in tiny.en's shape, the smallest published, "
        "made to say 27 tokens (its weights cannot be had here), and with a checkpoint of digits, a fifth of "
        "that. RPC is the whole front process: gRPC, checks, admission, queue, figures, log.",
    )
    stack = ("--stt", "1", "--classification", "1", "--workers", str(scale.of(CORES, 1)))
    for checkpoint, bar in contenders(scale):
        with running(*stack, *checkpoint.arguments) as (root, port, _):
            add(report, checkpoint.name, bar, spending(root, port, scale))
    return report


def contenders(scale: Scale) -> Iterator[tuple[Checkpoint, str]]:
    """What hears, and what RPC may cost beside it."""
    with checkpoints.smallest(scale) as smallest:
        yield smallest, "<= 0.01"
    if not scale.short:
        yield DIGITS, ""


def spending(root: psutil.Process, port: int, scale: Scale) -> dict[str, list[float]]:
    """CPU seconds a clip of each process, in each round."""
    calls, rounds = scale.of((18, 4), (1, 1))
    spent: dict[str, list[float]] = {name: [] for name in _ROLES}
    caller = Caller(f"127.0.0.1:{port}", saturation.RECOGNIZE, saturation.words)
    requests = [saturation.recognize(one) for one in data.clips(10, calls)]
    expected = caller.run(requests, None, len(requests), 2 * CORES)
    for _ in range(rounds):
        before = spent_by(root)
        caller.run(requests, expected, calls, 2 * CORES)
        after = spent_by(root)
        for name, each in spent.items():
            each.append((after[name] - before[name]) / calls)
    caller.close()
    return spent


def add(report: Report, name: str, bar: str, spent: dict[str, list[float]]) -> None:
    """The ratio, and each part."""
    carried = [sum(pair) for pair in zip(spent["front process"], spent["Envoy"], strict=True)]
    ratio = f"RPC + Envoy CPU / recognition CPU, 10 s of audio, {name}"
    report.ratios.append(Ratio.of(ratio, carried, spent["engine"], bar))
    report.figures += [
        Figure.of(f"{process}, {name}", "CPU ms a clip", [one * 1e3 for one in each])
        for process, each in spent.items()
    ]


def spent_by(root: psutil.Process) -> dict[str, float]:
    """CPU seconds so far, by what processes of the speech service are for."""
    found = dict.fromkeys(_ROLES, 0.0)
    for process in root.children(recursive=True):
        kind = role(process)
        for name, part in _ROLES.items():
            if part in kind and ("stt" in kind or name == "Envoy"):
                found[name] += cpu.seconds(process)
    return found
