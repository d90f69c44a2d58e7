"""Calls for a second of CPU: what saturation comes to, whatever the machine's pace and who else is on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from benchmarks import cpu, harness
from benchmarks.harness import Figure, Ratio, Report, Runs
from benchmarks.saturation import Caller

CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked for, and how often in each round."""

    requests: Sequence[bytes]
    count: int
    rounds: int


def compare(
    roots: Mapping[str, psutil.Process], callers: Mapping[str, Caller], work: Work
) -> tuple[Runs, Runs]:
    """Calls for a second of CPU of all processes below each root, and those of the clock; they take turns.

    Every answer is checked against those of the last contender. Closes the callers.
    """
    *_, last = callers.values()
    expected = last.run(work.requests, None, len(work.requests), 1)
    paces: Runs = {name: [] for name in roots}
    contenders = {
        name: _run(roots[name], caller, expected, work, paces[name]) for name, caller in callers.items()
    }
    for run in contenders.values():
        run()  # warm
    for pace in paces.values():
        pace.clear()
    runs = harness.interleaved(contenders, work.rounds)
    for caller in callers.values():
        caller.close()
    return runs, paces


def _run(
    root: psutil.Process, caller: Caller, expected: Sequence[str], work: Work, paces: list[float]
) -> Callable[[], float]:
    def run() -> float:
        spent, began = cpu.seconds_of_all(root), time.perf_counter()
        caller.run(work.requests, expected, work.count, 4 * CORES)
        paces.append(work.count / (time.perf_counter() - began))
        return work.count / (cpu.seconds_of_all(root) - spent)

    return run


def report_on(
    report: Report, what: str, found: tuple[Runs, Runs], ratios: Mapping[tuple[str, str], str]
) -> None:
    """The ratios by CPU, each with its bar, and all figures."""
    runs, paces = found
    for (above, below), bar in ratios.items():
        report.ratios.append(Ratio.of(f"{what}: {above} / {below}", runs[above], runs[below], bar))
    report.figures += [Figure.of(f"{what}, {name}", "calls/CPU s", each) for name, each in runs.items()]
    report.figures += [Figure.of(f"{what}, {name}", "calls/s", each) for name, each in paces.items()]
