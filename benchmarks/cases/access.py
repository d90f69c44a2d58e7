"""What it costs to ask who is calling: TLS, an API key, rules and rates, against an open door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import grpc
import psutil

from benchmarks import checkpoints, data, frugality, saturation
from benchmarks.frugality import Work
from benchmarks.harness import Report, Scale
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
_OPEN, _CLOSED, _PAID = "open", "closed", "closed and paid for"
_ENOUGH = {"*": {"audio_seconds_per_month": 1e9, "characters_per_day": 1e9, "audio_seconds_per_minute": 1e9}}


@dataclass(frozen=True, slots=True)
class Door:
    """Where calls go, and with what."""

    root: psutil.Process  # of the stack behind it
    target: str
    credentials: grpc.ChannelCredentials | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def caller(self, method: str, read: Callable[[bytes], str]) -> Caller:
        """Who calls one method through it."""
        return Caller(self.target, method, read, self.credentials, self.metadata)


def measure(scale: Scale) -> Report:
    """Short texts, one a request, and clips of 10 s; the stacks run at once and take turns."""
    report = Report(
        "The cost of asking who is calling",
        "Three stacks on this machine take turns: one open; one closed, with TLS, an API key, rules of who "
        "may call what, and rates for each client and for all; and one where each call is also checked "
        "against quotas and paid for in a real Redis that writes to disk. Short texts to the sentence "
        "encoder, and raw samples of 10 s to faster-whisper in tiny.en's shape, the smallest that OpenAI "
        "publishes. The ratio is of calls for a second of CPU of all of the stack's processes, Redis too: "
        "what saturation comes to, whatever the machine's pace. Every status and every answer is checked.",
    )
    with ExitStack() as cleanup:
        model = cleanup.enter_context(checkpoints.smallest(scale)).arguments
        doors = {name: cleanup.enter_context(opened(name, model)) for name in (_CLOSED, _PAID, _OPEN)}
        texts = [saturation.classify([one], data.LABELS) for one in data.texts(256)]
        compare(report, "texts, one a request", doors, Work(texts, *scale.of((1024, 8), (64, 1))))
        clips = [saturation.recognize(one) for one in data.clips(10, scale.of(6, 2))]
        compare(report, "10 s clips", doors, Work(clips, *scale.of((12, 6), (2, 1))))
    return report


@contextmanager
def opened(name: str, model: tuple[str, ...]) -> Iterator[Door]:
    """A stack, and the way into it."""
    quotas = json.dumps(_ENOUGH if name == _PAID else {})
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(ACCESS)
        file.flush()
        asked = () if name == _OPEN else ("--tls", "--access", file.name)
        paid = ("--redis",) if name == _PAID else ()
        sizes = ("--stt", "1", "--classification", "1", "--workers", str(CORES))
        with (
            mock.patch.dict(os.environ, {"EARSHOT_QUOTAS": quotas}),
            running(*sizes, *model, *asked, *paid) as (root, port, _),
        ):
            yield entered(root, port) if asked else Door(root, f"127.0.0.1:{port}")


def entered(root: psutil.Process, port: int) -> Door:
    """The way into a stack that is closed, by a new key."""
    state = root.environ()["EARSHOT_STATE"]
    command = [sys.executable, "-m", "earshot.cli", "keys", "new", "bench", "--state", state]
    key = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    trusted = grpc.ssl_channel_credentials(authority(StateFolder(Path(state))).read_bytes())
    return Door(root, f"127.0.0.1:{port}", trusted, (("x-api-key", key),))


def compare(report: Report, what: str, doors: Mapping[str, Door], work: Work) -> None:
    """The same through each."""
    speech = what.endswith("clips")
    method = saturation.RECOGNIZE if speech else saturation.CLASSIFY
    read = saturation.words if speech else saturation.best_labels
    roots = {name: door.root for name, door in doors.items()}
    callers = {name: door.caller(method, read) for name, door in doors.items()}
    bars = {(_CLOSED, _OPEN): ">= 0.99" if speech else ">= 0.9", (_PAID, _CLOSED): ""}
    frugality.report_on(report, what, frugality.compare(roots, callers, work), bars)
