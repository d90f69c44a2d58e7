"""How the cost of a clip grows with its length."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import psutil

from benchmarks import data
from benchmarks.cases.rpc_cost import spent_by
from benchmarks.harness import Curve, Ratio, Report, Scale, Table
from benchmarks.stack import running
from earshot.client import Client
from earshot.stt.types import SAMPLE_RATE, Samples


@dataclass(frozen=True, slots=True)
class Point:
    """One clip; its cost in CPU seconds by what it went to, and the time until it was answered."""

    seconds: float
    engine: float
    decoder: float
    carried: float  # RPC and Envoy
    answered: float


def measure(scale: Scale) -> Report:
    """Clips of a second to an hour, each as FLAC in one message."""
    lengths = scale.of((1, 10, 60, 600, 3600), (1, 2))
    model = ("--stt-engine", "faster-whisper", "--stt-model", str(data.DIGITS_MODEL))
    with (
        running("--stt", "1", "--classification", "1", *model) as (root, port, _),
        Client(f"127.0.0.1:{port}", timeout=3600) as client,
    ):
        hear(client, root, lengths[0])  # what is loaded late is loaded now
        points = [hear(client, root, length) for length in lengths]
    return reported(points)


def hear(client: Client, root: psutil.Process, length: int) -> Point:
    """One clip of so many seconds; short ones several times, as a single one is lost in noise."""
    times, samples = max(1, 20 // length), recording(length)
    before, started = spent_by(root), time.monotonic()
    for _ in range(times):
        heard = client.recognize(samples, sample_rate=SAMPLE_RATE, codec="flac")
        assert abs(heard.audio_duration - length) < 0.01, "not all of it was heard"
    answered = (time.monotonic() - started) / times
    spent = {name: (one - before[name]) / times for name, one in spent_by(root).items()}
    carried = spent["front process"] + spent["Envoy"]
    return Point(length, spent["engine"], spent["decoder"], carried, answered)


def recording(length: int) -> Samples:
    """Digits without an end, from where somebody speaks."""
    spoken = np.concatenate([one[2 * SAMPLE_RATE :] for one in data.digits()])
    return np.resize(spoken, length * SAMPLE_RATE)


def reported(points: list[Point]) -> Report:
    """The curves, and the hour against the minute."""
    by_length = {point.seconds: point for point in points}
    first, last = by_length.get(60, points[0]), points[-1]
    growth = (last.engine / last.seconds) / (first.engine / first.seconds)
    name = f"CPU a second of audio: {last.seconds:g} s / {first.seconds:g} s"
    axes = ("audio, s", "CPU, s")
    return Report(
        "What a clip costs by its length",
        "Spoken digits without an end, as FLAC in one message, one clip at a time, to faster-whisper with a "
        "small checkpoint. CPU of each process as the scheduler counts it.",
        ratios=[Ratio(name, growth, growth, growth, "<= 1.1")],
        tables=[
            Table(
                "CPU seconds a clip",
                ("audio, s", "engine", "decoder", "RPC and Envoy", "answered after, s"),
                tuple((one.seconds, one.engine, one.decoder, one.carried, one.answered) for one in points),
            )
        ],
        curves=[
            Curve("engine", *axes, tuple((one.seconds, one.engine) for one in points)),
            Curve("decoder", *axes, tuple((one.seconds, one.decoder) for one in points)),
            Curve("RPC and Envoy", *axes, tuple((one.seconds, one.carried) for one in points)),
        ],
    )
