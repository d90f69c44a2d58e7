"""What it costs that every call is paid for in a Redis that replicas share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest import mock

from benchmarks import checkpoints, data, harness, saturation
from benchmarks.harness import Figure, Ratio, Report, Scale
from benchmarks.saturation import Caller
from benchmarks.stack import free_port, running

CORES = os.cpu_count() or 1
_SHARED, _ALONE = "paid for in Redis", "counted in memory, nothing limited"
_BARS = {False: ">= 0.9", True: ">= 0.99"}  # of texts, of speech
_ENOUGH = {"*": {"audio_seconds_per_month": 1e9, "characters_per_day": 1e9, "audio_seconds_per_minute": 1e9}}


def measure(scale: Scale) -> Report:
    """Short texts, one a request, and clips of 10 s: two stacks that take turns."""
    report = Report(
        "The cost of quotas",
        "Two stacks on this machine, each with one replica of each service behind Envoy: in the one every "
        "call is checked against quotas and paid for in a real Redis that writes to disk, in the other it is "
        "counted in memory and nothing is limited. Clips are heard in tiny.en's shape, the smallest that "
        "OpenAI publishes, made to say 27 tokens. Every status and every answer is checked.",
    )
    with ExitStack() as cleanup:
        smallest = cleanup.enter_context(checkpoints.smallest(scale))
        arguments = ("--stt", "1", "--classification", "1", "--workers", str(CORES), *smallest.arguments)
        url = cleanup.enter_context(redis())
        targets = {
            _SHARED: cleanup.enter_context(stack(url, *arguments)),
            _ALONE: cleanup.enter_context(stack("", *arguments)),
        }
        texts = [saturation.classify([text], data.LABELS) for text in data.texts(scale.of(512, 64))]
        compare(report, "short texts", targets, texts, scale.of((1024, 8), (64, 1)))
        clips = [saturation.recognize(clip) for clip in data.clips(10, scale.of(8, 2))]
        compare(report, "10 s clips", targets, clips, scale.of((12, 6), (2, 1)))
    return report


def compare(
    report: Report,
    what: str,
    targets: Mapping[str, str],
    requests: Sequence[bytes],
    amount: tuple[int, int],
) -> None:
    """Calls a second of each stack, taking turns; ``amount`` is calls a round, and rounds."""
    count, rounds = amount
    speech = what.endswith("clips")
    method = saturation.RECOGNIZE if speech else saturation.CLASSIFY
    read = saturation.words if speech else saturation.best_labels
    callers = {name: Caller(target, method, read) for name, target in targets.items()}
    expected = callers[_ALONE].run(requests, None, len(requests), 1)
    contenders = {
        name: partial(harness.per_second, partial(_answered, caller, requests, expected, count))
        for name, caller in callers.items()
    }
    runs = harness.interleaved(contenders, rounds)
    for caller in callers.values():
        caller.close()
    report.ratios.append(
        Ratio.of(f"{what}: in Redis / in memory", runs[_SHARED], runs[_ALONE], _BARS[speech])
    )
    report.figures += [Figure.of(f"{what}, {name}", "calls/s", found) for name, found in runs.items()]


def _answered(caller: Caller, requests: Sequence[bytes], expected: Sequence[str], count: int) -> int:
    caller.run(requests, expected, count, 4 * CORES)
    return count


@contextmanager
def stack(redis_url: str, *arguments: str) -> Iterator[str]:
    """A stack that counts there, or in memory; where it listens."""
    quotas = json.dumps(_ENOUGH) if redis_url else "{}"
    told = {"EARSHOT_QUOTA_REDIS_URL": redis_url, "EARSHOT_QUOTAS": quotas}
    with mock.patch.dict(os.environ, told), running(*arguments) as (_, port, _):
        yield f"127.0.0.1:{port}"


@contextmanager
def redis() -> Iterator[str]:
    """A Redis of our own; its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        with subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL) as process:
            time.sleep(1.0)
            if process.poll() is not None:
                sys.exit("redis-server did not start")
            try:
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                process.terminate()
