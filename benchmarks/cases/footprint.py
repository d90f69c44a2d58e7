"""Memory, start-up and rest of the default stack on one machine."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psutil

from benchmarks import cpu
from benchmarks.harness import Figure, Ratio, Report, Scale, Table
from benchmarks.stack import running
from earshot.client import Client

MEBIBYTE = 2**20
CALLS = 8
_READY, _WORKER, _IDLE = 5.0, 250e6, 1.0  # seconds, bytes, per cent of a core: what they may be
_REST = 60.0  # seconds


@dataclass(frozen=True)
class Row:
    """One process of the stack; memory in MiB."""

    role: str
    rss: float
    pss: float


def measure(scale: Scale) -> Report:
    """Starts what ``earshot up`` starts, puts some calls through it, and leaves it alone."""
    ready: list[float] = []
    for _ in range(scale.of(3, 1)):
        with running() as (process, port, seconds):
            ready.append(seconds)
            call(port)
            rows = sorted(processes(process), key=lambda row: row.role)
            idle = resting(process, scale.of(_REST, 0.5)) if len(ready) == scale.of(3, 1) else 0.0
    return reported(rows, ready, 100 * idle)


def reported(rows: list[Row], ready: list[float], idle: float) -> Report:
    """What was promised, and each process."""
    engines = [row.rss * MEBIBYTE for row in rows if row.role == "classification: engine process"]
    count = len(rows)
    return Report(
        "The default stack: start, memory, rest",
        "`earshot up`: 2 speech-to-text and 2 classification replicas of a worker each, and Envoy, on one "
        "machine. Ready: until all of it answers. Resident memory (RSS) counts shared pages in every process "
        "that has them; the proportional set size (PSS) shares them out, so only its sum is the stack's own. "
        "At rest: CPU of all processes together while nobody calls, health checks included.",
        ratios=[
            Ratio.of(f"ready after / {_READY:g} s", ready, [_READY] * len(ready), "<= 1"),
            Ratio.of("memory of an embedding worker / 250 MB", engines, [_WORKER] * len(engines), "<= 1"),
            Ratio.of("CPU at rest / 1 % of a core", [idle], [_IDLE], "<= 1"),
        ],
        figures=[
            Figure.of("ready after", "s", ready),
            Figure.of("whole stack, PSS", "MiB", [sum(row.pss for row in rows)]),
            Figure.of("whole stack, RSS", "MiB", [sum(row.rss for row in rows)]),
            Figure.of("at rest", "% of a core", [idle]),
        ],
        tables=[
            Table(
                f"Processes ({count})",
                ("what", "RSS, MiB", "PSS, MiB"),
                tuple((row.role, round(row.rss), round(row.pss)) for row in rows),
            )
        ],
    )


def resting(root: psutil.Process, seconds: float) -> float:
    """The part of a core that the whole stack takes while nobody calls."""
    before = cpu.seconds_of_all(root)
    time.sleep(seconds)
    return (cpu.seconds_of_all(root) - before) / seconds


def call(port: int) -> None:
    """Some calls to every replica: what is loaded late is loaded then."""
    sample = Path(str(files("earshot.local"))) / "samples" / "ask-not.flac"
    with Client(f"127.0.0.1:{port}", timeout=120) as client:
        for _ in range(CALLS):
            client.classify_speech(sample, ["politics", "sport"])


def processes(root: psutil.Process) -> Iterator[Row]:
    """Every process below ``root`` and itself, by what it does."""
    for process in (root, *root.children(recursive=True)):
        memory = process.memory_full_info()
        yield Row(role(process), memory.rss / MEBIBYTE, memory.pss / MEBIBYTE)


def role(process: psutil.Process) -> str:
    """What a process is for."""
    command = " ".join(process.cmdline())
    parent = process.parent()
    if parent and "earshot.runtime.worker" in command:
        pool = process.cmdline()[-1]  # "decoders", "listener-0"
        return role(parent).replace("front", pool.partition("-")[0].removesuffix("s"))
    found = re.search(r"-m earshot\.(stt|classification)", command)
    if found:
        return f"{found[1]}: front process"
    return "Envoy" if "envoy" in process.name() else "supervisor"
