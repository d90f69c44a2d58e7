"""What it costs to ask who is calling: TLS, an API key, rules and rates, against an open door."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from benchmarks import checkpoints, data, harness, saturation
from benchmarks.harness import Figure, Ratio, Report, Runs, Scale
from benchmarks.saturation import Caller
from benchmarks.stack import running
from earshot.local.security import authority
from earshot.local.state import StateFolder

CORES = os.cpu_count() or 1
# Each client's own rate and all together are counted, and never reached.
ACCESS = """
keys: true
clients: {bench: [earshot.v1.SpeechToText/*, earshot.v1.ZeroShotClassifier/*], other: [earshot.v1.*]}
rates: {all: {per_second: 1000000, burst: 1000000}, client: {per_second: 1000000, burst: 1000000}}
"""
_OPEN, _CLOSED = "open", "closed"


@dataclass(frozen=True, slots=True)
class Door:
    """Where calls go, and with what."""

    target: str
    credentials: grpc.ChannelCredentials | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def caller(self, method: str, read: Callable[[bytes], str]) -> Caller:
        """Who calls one method through it."""
        return Caller(self.target, method, read, self.credentials, self.metadata)


def measure(scale: Scale) -> Report:
    """Short texts, one a request, and clips of 10 s; both stacks run at once and take turns."""
    report = Report(
        "The cost of asking who is calling",
        "Two stacks on this machine take turns: one open, the other with TLS, an API key, rules of who may "
        "call what, and rates for each client and for all. Short texts to the sentence encoder, and raw "
        "samples of 10 s to faster-whisper in tiny.en's shape, the smallest that OpenAI publishes, at "
        "saturation.",
    )
    with ExitStack() as cleanup:
        model = cleanup.enter_context(checkpoints.smallest(scale)).arguments
        doors = {
            _OPEN: cleanup.enter_context(opened(model)),
            _CLOSED: cleanup.enter_context(opened(model, closed=True)),
        }
        written = [saturation.classify([one], data.LABELS) for one in data.texts(256)]
        texts = against(
            doors, saturation.CLASSIFY, saturation.best_labels, written, scale.of((1500, 7), (64, 1))
        )
        add(report, "texts, one a request", "texts/s", texts, ">= 0.9")
        clips = [saturation.recognize(one) for one in data.clips(10, scale.of(6, 2))]
        heard = against(doors, saturation.RECOGNIZE, saturation.words, clips, scale.of((12, 5), (2, 1)))
        add(report, "10 s clips", "clips/s", heard, ">= 0.99")
    return report


@contextmanager
def opened(model: tuple[str, ...], *, closed: bool = False) -> Iterator[Door]:
    """A stack, and the way into it."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(ACCESS)
        file.flush()
        asked = ("--tls", "--access", file.name) if closed else ()
        with running("--stt", "1", "--classification", "1", *model, *asked) as (root, port, _):
            yield entered(root, port) if closed else Door(f"127.0.0.1:{port}")


def entered(root: psutil.Process, port: int) -> Door:
    """The way into a stack that is closed, by a new key."""
    state = root.environ()["EARSHOT_STATE"]
    command = [sys.executable, "-m", "earshot.cli", "keys", "new", "bench", "--state", state]
    key = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    trusted = grpc.ssl_channel_credentials(authority(StateFolder(Path(state))).read_bytes())
    return Door(f"127.0.0.1:{port}", trusted, (("x-api-key", key),))


def against(
    doors: dict[str, Door],
    method: str,
    read: Callable[[bytes], str],
    requests: Sequence[bytes],
    amount: tuple[int, int],
) -> Runs:
    """Calls a second through each; ``amount``: calls, and rounds."""
    count, rounds = amount
    callers = {name: door.caller(method, read) for name, door in doors.items()}
    expected = callers[_OPEN].run(requests, None, len(requests), 2 * CORES)
    contenders = {name: _pace(caller, requests, expected, count) for name, caller in callers.items()}
    for run in contenders.values():
        run()
    runs = harness.interleaved(contenders, rounds)
    for caller in callers.values():
        caller.close()
    return runs


def _pace(
    caller: Caller, requests: Sequence[bytes], expected: Sequence[str], count: int
) -> Callable[[], float]:
    return lambda: harness.per_second(lambda: len(caller.run(requests, expected, count, 2 * CORES)) and count)


def add(report: Report, name: str, unit: str, runs: Runs, bar: str) -> None:
    """The ratio and both figures."""
    report.ratios.append(Ratio.of(f"{name}: closed / open", runs[_CLOSED], runs[_OPEN], bar))
    report.figures += [Figure.of(f"{name}, {one}", unit, runs[one]) for one in (_OPEN, _CLOSED)]
