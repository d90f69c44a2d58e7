"""What RPC and Envoy cost, beside the recognition that they carry."""

from __future__ import annotations

import os
import time

import psutil

from benchmarks import cpu, data, saturation
from benchmarks.footprint import role
from benchmarks.harness import Figure, Ratio, Report, Scale
from benchmarks.saturation import Caller
from benchmarks.stack import running

CORES = os.cpu_count() or 1
IDLE = 5.0  # seconds
_ROLES = {"front process": "front", "Envoy": "Envoy", "engine": "engine", "decoder": "decoder"}


def measure(scale: Scale) -> Report:
    """CPU seconds of each process of the stack while it writes down 10 s clips."""
    calls, rounds = scale.of((18, 4), (1, 1))
    spent: dict[str, list[float]] = {name: [] for name in _ROLES}
    workers = str(scale.of(CORES, 1))
    model = ("--stt-engine", "faster-whisper", "--stt-model", str(data.DIGITS_MODEL))
    with running("--stt", "1", "--classification", "1", "--workers", workers, *model) as (root, port, _):
        caller = Caller(f"127.0.0.1:{port}", saturation.RECOGNIZE, saturation.words)
        requests = [saturation.recognize(one) for one in data.clips(10, calls)]
        expected = caller.run(requests, None, len(requests), 2 * CORES)
        idle = resting(root, scale.of(IDLE, 0.5))
        for _ in range(rounds):
            before = spent_by(root)
            caller.run(requests, expected, calls, 2 * CORES)
            after = spent_by(root)
            for name, each in spent.items():
                each.append((after[name] - before[name]) / calls)
        caller.close()
    return reported(spent, idle)


def reported(spent: dict[str, list[float]], idle: float) -> Report:
    """The ratio, and each part."""
    carried = [sum(pair) for pair in zip(spent["front process"], spent["Envoy"], strict=True)]
    ratio = Ratio.of("RPC + Envoy CPU / recognition CPU, 10 s of audio", carried, spent["engine"], "<= 0.01")
    return Report(
        "The cost of RPC beside recognition",
        "CPU of each process while clips of 10 s (320 KB of raw samples) are written down, at saturation, by "
        "faster-whisper with a small checkpoint that hears digits. RPC is the whole front process: gRPC, "
        "checks, admission, queue, figures, log. Decoding is the audio's own cost, in a process of its own.",
        ratios=[ratio],
        figures=[
            *(Figure.of(name, "CPU ms a clip", [one * 1e3 for one in each]) for name, each in spent.items()),
            Figure.of("the whole stack while nobody calls", "% of a core", [idle * 100]),
        ],
    )


def resting(root: psutil.Process, seconds: float) -> float:
    """The part of a core that the whole stack takes while nobody calls."""
    before = cpu.seconds_of_all(root)
    time.sleep(seconds)
    return (cpu.seconds_of_all(root) - before) / seconds


def spent_by(root: psutil.Process) -> dict[str, float]:
    """CPU seconds so far, by what processes of the speech service are for."""
    found = dict.fromkeys(_ROLES, 0.0)
    for process in root.children(recursive=True):
        kind = role(process)
        for name, part in _ROLES.items():
            if part in kind and ("stt" in kind or name == "Envoy"):
                found[name] += cpu.seconds(process)
    return found
