"""The processes of a stack under measurement, by what they are: their memory and their CPU time."""

from __future__ import annotations

from collections import defaultdict

import psutil

MEBIBYTE = 2**20


def kind_of(process: psutil.Process) -> str:
    """What part of the stack it is; the engines, listeners and decoders are workers."""
    command = process.cmdline()
    if "earshot.runtime.worker" in command:
        return "workers"
    for kind in ("earshot.stt", "earshot.classification"):
        if kind in command:
            return kind.removeprefix("earshot.")
    return "envoy" if "envoy" in process.name() else "other"


def memory(root: psutil.Process) -> dict[str, float]:
    """Resident MiB of each kind, below ``root``."""
    found: dict[str, float] = defaultdict(float)
    for one in root.children(recursive=True):
        found[kind_of(one)] += one.memory_info().rss / MEBIBYTE
    return found


def cpu(root: psutil.Process) -> dict[str, float]:
    """Seconds of CPU that each kind has taken so far."""
    found: dict[str, float] = defaultdict(float)
    for one in root.children(recursive=True):
        times = one.cpu_times()
        found[kind_of(one)] += times.user + times.system
    return found


def said(figures: dict[str, float], unit: str) -> str:
    """In one line, the largest first."""
    largest = sorted(figures.items(), key=lambda each: -each[1])
    return ", ".join(f"{kind} {value:.1f} {unit}" for kind, value in largest if value >= 0.05)
