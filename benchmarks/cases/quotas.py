"""What it costs that every call is paid for in a Redis that replicas share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from unittest import mock

import psutil

from benchmarks import checkpoints, cpu, data, harness, saturation
from benchmarks.harness import Figure, Ratio, Report, Scale
from benchmarks.saturation import Caller
from benchmarks.stack import running

CORES = os.cpu_count() or 1
_SHARED, _ALONE = "paid for in Redis", "counted in memory, nothing limited"
_BARS = {False: ">= 0.9", True: ">= 0.99"}  # of texts, of speech
_ENOUGH = {"*": {"audio_seconds_per_month": 1e9, "characters_per_day": 1e9, "audio_seconds_per_minute": 1e9}}

Stack = tuple[psutil.Process, str]  # its first process, and where it listens


def measure(scale: Scale) -> Report:
    """Short texts, one a request, and clips of 10 s: two stacks that take turns."""
    report = Report(
        "The cost of quotas",
        "Two stacks on this machine, each with one replica of each service behind Envoy: in the one every "
        "call is checked against quotas and paid for in a real Redis that writes to disk, in the other it is "
        "counted in memory and nothing is limited. Clips are heard in tiny.en's shape, the smallest that "
        "OpenAI publishes, made to say 27 tokens. The ratio is of calls for a second of CPU of all of the "
        "stack's processes, Redis too: what saturation comes to, whatever the machine's pace. Every status "
        "and every answer is checked.",
    )
    with ExitStack() as cleanup:
        smallest = cleanup.enter_context(checkpoints.smallest(scale))
        arguments = ("--stt", "1", "--classification", "1", "--workers", str(CORES), *smallest.arguments)
        stacks = {
            _SHARED: cleanup.enter_context(stack(*arguments, "--redis")),
            _ALONE: cleanup.enter_context(stack(*arguments)),
        }
        texts = [saturation.classify([text], data.LABELS) for text in data.texts(scale.of(512, 64))]
        compare(report, "short texts", stacks, texts, scale.of((1024, 8), (64, 1)))
        clips = [saturation.recognize(clip) for clip in data.clips(10, scale.of(8, 2))]
        compare(report, "10 s clips", stacks, clips, scale.of((12, 6), (2, 1)))
    return report


def compare(
    report: Report,
    what: str,
    stacks: Mapping[str, Stack],
    requests: Sequence[bytes],
    amount: tuple[int, int],
) -> None:
    """Calls for a second of CPU, and of the clock, taking turns; ``amount``: calls, and rounds."""
    count, rounds = amount
    speech = what.endswith("clips")
    method = saturation.RECOGNIZE if speech else saturation.CLASSIFY
    read = saturation.words if speech else saturation.best_labels
    callers = {name: Caller(target, method, read) for name, (_, target) in stacks.items()}
    expected = callers[_ALONE].run(requests, None, len(requests), 1)
    paces: dict[str, list[float]] = {name: [] for name in stacks}
    contenders = {
        name: _frugality(stacks[name][0], caller, (requests, expected, count), paces[name])
        for name, caller in callers.items()
    }
    runs = harness.interleaved(contenders, rounds)
    for caller in callers.values():
        caller.close()
    report.ratios.append(
        Ratio.of(f"{what}: in Redis / in memory", runs[_SHARED], runs[_ALONE], _BARS[speech])
    )
    report.figures += [Figure.of(f"{what}, {name}", "calls/CPU s", found) for name, found in runs.items()]
    report.figures += [Figure.of(f"{what}, {name}", "calls/s", found) for name, found in paces.items()]


def _frugality(
    root: psutil.Process,
    caller: Caller,
    work: tuple[Sequence[bytes], Sequence[str], int],
    paces: list[float],
) -> Callable[[], float]:
    """Calls for a second of CPU; those for a second of the clock go to ``paces``."""
    requests, expected, count = work

    def run() -> float:
        spent, began = cpu.seconds_of_all(root), time.perf_counter()
        caller.run(requests, expected, count, 4 * CORES)
        paces.append(count / (time.perf_counter() - began))
        return count / (cpu.seconds_of_all(root) - spent)

    return run


@contextmanager
def stack(*arguments: str) -> Iterator[Stack]:
    """A stack that counts in a Redis of its own, or in memory."""
    quotas = json.dumps(_ENOUGH) if "--redis" in arguments else "{}"
    with mock.patch.dict(os.environ, {"EARSHOT_QUOTAS": quotas}), running(*arguments) as (root, port, _):
        yield root, f"127.0.0.1:{port}"
