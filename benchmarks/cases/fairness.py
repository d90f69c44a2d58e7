"""One client that asks now and then, beside two that ask for more than there is."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from benchmarks import data, saturation
from benchmarks.harness import Figure, Ratio, Report, Scale, Table
from benchmarks.stack import running
from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.local.samples import recordings
from earshot.stt.types import SAMPLE_RATE, Samples

FLOODS = ("flood-1", "flood-2")
IN_THE_AIR = 32  # calls of each that floods
CLIP = 2  # seconds
PAUSE = 4.0  # of the light client, in times of what a call takes when it is alone
_Call = Callable[[str, float], Awaitable[float | None]]


@dataclass
class Counts:
    """What became of the calls of those who flood."""

    answered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLOODS, 0))


def clip() -> Samples:
    """Two seconds of speech."""
    source = next(one.content for one in recordings() if str(one.content).endswith("ask-not.flac"))
    assert not isinstance(source, str)
    return decode_all(source.read_bytes(), AudioFormat(), AudioLimits())[: CLIP * SAMPLE_RATE]


@dataclass(frozen=True, slots=True)
class Work:
    """What all three ask for: a call of some bytes, and what says that two answers are the same."""

    method: str
    request: bytes
    said: Callable[[bytes], str]
    amount: tuple[int, int]  # calls of a round, and rounds


def caller(channel: grpc.aio.Channel, work: Work) -> _Call:
    """One call as a client of that name: its seconds; None, after a rest: there was no room."""
    ask: Any = channel.unary_unary(work.method)  # the stubs know only the synchronous form
    first: list[str] = []

    async def call(client: str, rest: float) -> float | None:
        start = time.monotonic()
        try:
            answer = await ask(work.request, metadata=(("x-earshot-client", client),), timeout=120)
        except grpc.aio.AioRpcError as exc:
            if exc.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            await asyncio.sleep(rest)
            return None
        said = work.said(answer)
        first[:] = first or [said]
        assert said == first[0] != "", "something else than at first"
        return time.monotonic() - start

    return call


async def light(call: _Call, calls: int, pause: float) -> list[float]:
    """Seconds of each of its calls, one at a time, until it is answered."""
    times = []
    for _ in range(calls):
        start = time.monotonic()
        while await call("light", 0.1) is None:
            pass
        times.append(time.monotonic() - start)
        await asyncio.sleep(pause)
    return times


async def flood(call: _Call, client: str, counts: Counts) -> None:
    """Never has enough."""
    while True:
        if await call(client, 0.2) is not None:
            counts.answered[client] += 1


async def beside(call: _Call, calls: int, pause: float, counts: Counts) -> list[float]:
    """The light client while the others flood."""
    floods = [asyncio.create_task(flood(call, name, counts)) for name in FLOODS for _ in range(IN_THE_AIR)]
    await asyncio.sleep(3 * pause)
    try:
        return await light(call, calls, pause)
    finally:
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
        await asyncio.sleep(pause)


def p95(times: list[float]) -> float:
    """Their 95th percentile."""
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


async def taking_turns(
    port: int, work: Work, scale: Scale, counts: Counts
) -> tuple[list[float], list[float]]:
    """The light client's 95th percentile in each round, alone and beside the others."""
    calls, rounds = scale.of(work.amount, (3, 1))
    found: dict[str, list[float]] = {"alone": [], "beside": []}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = caller(channel, work)
        pause = PAUSE * statistics.median(await light(call, 5, 0))
        for number in range(rounds):
            for name in found if number % 2 == 0 else reversed(found):
                going = light(call, calls, pause) if name == "alone" else beside(call, calls, pause, counts)
                found[name].append(p95(await going))
    return found["alone"], found["beside"]


def measure(scale: Scale) -> Report:
    """Three clients of one worker, named."""
    report = Report(
        "Fairness between clients",
        "Through Envoy to one replica with one worker of the embedded engine: clips of two seconds, then one "
        "text a call. The light client asks for one at a time and pauses, so that alone it keeps the worker "
        "busy for a fifth of the time; alone is that same client at that same pace with nobody beside it. "
        "Two others keep 32 calls each in the air. Every answer is compared with the first. Who is refused "
        "for lack of room asks again, and the light client's time goes on meanwhile.",
    )
    arguments = ("--stt", "1", "--classification", "1", "--workers", "1", "--stt-engine", "pocketsphinx")
    with running(*arguments) as (_, port, _):
        for what, work in works().items():
            add(report, what, work, port, scale)
    return report


def works() -> dict[str, Work]:
    """By what the light client asks for."""
    text = saturation.classify(data.texts(1), data.LABELS)
    return {
        "clip": Work(saturation.RECOGNIZE, saturation.recognize(clip()), saturation.words, (15, 2)),
        "text": Work(saturation.CLASSIFY, text, saturation.best_labels, (100, 5)),
    }


def add(report: Report, what: str, work: Work, port: int, scale: Scale) -> None:
    """The ratio, both figures, and what the others had."""
    counts = Counts()
    alone, beside_them = asyncio.run(taking_turns(port, work, scale, counts))
    report.ratios.append(
        Ratio.of(f"light client's p95, {what}s: beside two that flood / alone", beside_them, alone, "<= 3")
    )
    report.figures += [
        Figure.of(f"light client's p95, a {what}, alone", "s", alone),
        Figure.of(f"light client's p95, a {what}, beside two that flood", "s", beside_them),
    ]
    rows = tuple(counts.answered.items())
    report.tables.append(Table(f"{what}s of those who flood", ("client", "answered"), rows))
