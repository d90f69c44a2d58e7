"""Drills under the load of live streams: all words must be there, once, and each summary complete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from earshot.client import AsyncClient, Encoding
from tests.drills.drill import Drill, Form, Result, Strikes, beside
from tests.drills.proxy import Network, network
from tests.drills.speech import (
    CHECKPOINT,
    DIGITS,
    LABELS,
    Heard,
    Recording,
    difference,
    recordings,
    stream,
    words_of,
)
from tests.drills.stack import Setup, Stack, running

_WITHIN = 0.01  # of the words: how far streams may be from unary calls, for digits at cuts
_MISHEARD = 0.05  # of the words: what the model may hear otherwise than it was spoken
_ONE_IN = 3  # streams: one that is scored as well, and goes through both services


@dataclass(frozen=True)
class Size:
    """How much of it."""

    streams: int
    seconds: float  # of audio in each
    speed: float  # times the pace of speech
    replicas: int


SHORT, LONG = Size(6, 40, 2, 2), Size(20, 183, 1.5, 3)


@dataclass(frozen=True)
class World:
    """What a fault can get at, and what is streamed meanwhile."""

    stack: Stack
    network: Network
    size: Size
    load: list[Recording]
    undisturbed: dict[str | None, list[list[str]]] = field(default_factory=dict)  # by codec

    async def streamed(self, codec: str | None = None, *, real_time: bool = False) -> list[Heard]:
        """The load, once."""
        speed = 1.0 if real_time else self.size.speed
        ways = [f"127.0.0.1:{port}" for port in self.network.ports]
        calls = (stream(way, one, speed, codec) for way, one in zip(ways, self.load, strict=True))
        return await asyncio.gather(*calls)

    async def expected(self, codec: str | None = None, *, real_time: bool = False) -> list[list[str]]:
        """What is heard where nothing happens. Raises RuntimeError where that is not what was spoken."""
        if codec not in self.undisturbed:
            heard = await self.streamed(codec, real_time=real_time)
            self.undisturbed[codec] = sound(heard, self.load)
        return self.undisturbed[codec]

    async def streamed_for(self, seconds: float) -> list[list[Heard]]:
        """The load again and again for at least so long: what each round has come to."""
        rounds: list[list[Heard]] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rounds.append(await self.streamed())
        return rounds


def sound(heard: list[Heard], load: list[Recording]) -> list[list[str]]:
    """Their words, which others may be held against. Raises RuntimeError where they are no good for it."""
    if not all(one.complete for one in heard):
        raise RuntimeError(f"with nothing broken streams are not complete {_why(heard)}".strip())
    if wrongly := _wrongly(heard):
        raise RuntimeError(f"with nothing broken streams are labelled {', '.join(wrongly)}")
    words = [one.words for one in heard]
    if (wrong := _share([one.words for one in load], words)) > _MISHEARD:
        raise RuntimeError(f"with nothing broken {wrong:.2%} of the words are wrong")
    return words


@asynccontextmanager
async def machine(form: Form) -> AsyncIterator[World]:
    """The stack on this machine, and a network of its own before it."""
    size = SHORT if form.short else LONG
    known = recordings(DIGITS, size.seconds)
    load = [labelled(known[number % len(known)], number) for number in range(size.streams)]
    setup = Setup("faster-whisper", CHECKPOINT, stt=size.replicas, classification=2)
    async with running(setup) as stack, network(stack.port, size.streams) as ways:
        yield World(stack, ways, size, load)


def labelled(recording: Recording, number: int) -> Recording:
    """The same; one in some is scored too."""
    return recording if number % _ONE_IN else replace(recording, labels=LABELS)


Fault = Callable[[World, Strikes], Coroutine[Any, Any, None]]


def streamed(  # a table of its own for each drill
    name: str,
    title: str,
    fault: Fault,
    *,
    breaks: float | None = None,
    codec: str | None = None,
    real_time: bool = False,
    short: bool = True,
) -> Drill:
    """A fault beside live streams. ``breaks``: the least share of the streams that each of its strikes makes
    connect anew; None: it does not strike, it lasts. ``real_time``: as fast as speech, and not faster.
    """

    async def run(world: World, _: Form) -> Result:
        result, strikes = Result(), Strikes()
        expected = await world.expected(codec, real_time=real_time)
        try:
            async with beside(fault(world, strikes)):
                heard = await world.streamed(codec, real_time=real_time)
        finally:
            await world.network.mend()
        await world.stack.settled()
        if breaks is not None:
            strikes.judge(result)
        judge(heard, expected, result)
        if breaks:
            judge_breaks(heard, breaks * world.size.streams * strikes.struck, result)
        return result

    return Drill(name, f"live streams: {title}", "no word lost or doubled", machine, run, short=short)


def judge(heard: list[Heard], expected: list[list[str]], result: Result) -> None:
    """Each complete, and word for word as it was where nothing happened: where a stream goes on it hears the
    same stretches again, and of the same stretch an engine says the same (docs/streaming.md).
    """
    complete = sum(one.complete for one in heard)
    words = sum(len(one.words) for one in heard)
    result.counts |= {"streams": len(heard), "complete": complete, "words": words}
    open_ends = len(heard) - complete
    result.must(not open_ends, f"{open_ends} streams not complete {_why(heard)}".strip())
    difference(expected, [one.words for one in heard]).judge(result)
    wrongly = _wrongly(heard)
    result.counts["scored as well"] = sum(one.label is not None for one in heard)
    result.must(not wrongly, f"labelled {', '.join(wrongly)}")
    result.counts["reconnects"] = sum(one.breaks for one in heard)


def _wrongly(heard: list[Heard]) -> list[str]:
    """Labels of spoken digits that are not theirs."""
    return [repr(one.label) for one in heard if one.complete and not one.is_labelled_rightly]


def judge_breaks(heard: list[Heard], least: float, result: Result) -> None:
    """Streams that nothing has met have outlived nothing."""
    breaks = sum(one.breaks for one in heard)
    result.must(breaks >= max(1, int(least)), f"{breaks} reconnects: the fault has hardly met the streams")


def _why(heard: list[Heard]) -> str:
    return "; ".join(sorted({f"{type(one.error).__name__}: {one.error}" for one in heard if one.error}))


async def compared(world: World, _: Form) -> Result:
    """Wrong words against what was spoken: in streams, and in unary calls."""
    spoken = [one.words for one in world.load]
    streams = _share(spoken, await world.expected())
    unary = await _unary(world.stack.target, {one.name: one for one in world.load})
    calls = _share(spoken, [unary[one.name] for one in world.load])
    result = Result({"wrong in streams": f"{streams:.2%}", "wrong in calls": f"{calls:.2%}"})
    result.must(abs(streams - calls) <= _WITHIN, "streams and calls differ by more than 1 % of the words")
    return result


async def _unary(target: str, load: dict[str, Recording]) -> dict[str, list[str]]:
    heard = {}
    async with AsyncClient(target, timeout=600) as client:
        for name, one in load.items():
            answer = await client.recognize(one.samples, encoding=Encoding.LINEAR16, sample_rate=16_000)
            heard[name] = words_of(answer.text)
    return heard


def _share(spoken: list[list[str]], heard: list[list[str]]) -> float:
    found = difference(spoken, heard)
    return (found.lost + found.doubled + found.changed) / sum(map(len, spoken))
