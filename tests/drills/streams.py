"""Drills under the load of live streams: all words must be there, once, and each summary complete."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from earshot.client import AsyncClient, Encoding
from tests.drills.drill import Drill, Form, Result
from tests.drills.proxy import Network, network
from tests.drills.speech import (
    CHECKPOINT,
    DIGITS,
    Heard,
    Recording,
    difference,
    recordings,
    stream,
    words_of,
)
from tests.drills.stack import Setup, Stack, running

_WITHIN = 0.01  # of the words: how far streams may be from unary calls, for digits at cuts


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
        """What is heard where nothing happens."""
        if codec not in self.undisturbed:
            heard = await self.streamed(codec, real_time=real_time)
            self.undisturbed[codec] = [one.words for one in heard]
        return self.undisturbed[codec]


@asynccontextmanager
async def machine(form: Form) -> AsyncIterator[World]:
    """The stack on this machine, and a network of its own before it."""
    size = SHORT if form.short else LONG
    known = recordings(DIGITS, size.seconds)
    load = [known[number % len(known)] for number in range(size.streams)]
    setup = Setup("faster-whisper", CHECKPOINT, stt=size.replicas, classification=2)
    async with running(setup) as stack, network(stack.port, size.streams) as ways:
        yield World(stack, ways, size, load)


def streamed(  # a table of its own for each drill
    name: str,
    title: str,
    fault: Callable[[World], Awaitable[None]],
    *,
    codec: str | None = None,
    real_time: bool = False,
    short: bool = True,
) -> Drill:
    """A fault beside live streams. ``real_time``: as fast as speech, and not faster."""

    async def run(world: World, _: Form) -> Result:
        expected = await world.expected(codec, real_time=real_time)
        heard = await _under(world, fault, codec, real_time)
        await world.stack.settled()
        return _result(heard, expected)

    return Drill(name, f"live streams: {title}", "no word lost or doubled", machine, run, short=short)


async def _under(
    world: World, fault: Callable[[World], Awaitable[None]], codec: str | None, real_time: bool
) -> list[Heard]:
    striking = asyncio.ensure_future(fault(world))
    try:
        return await world.streamed(codec, real_time=real_time)
    finally:
        striking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await striking
        await world.network.mend()


def _result(heard: list[Heard], expected: list[list[str]]) -> Result:
    found = difference(expected, [one.words for one in heard])
    complete = sum(one.complete for one in heard)
    result = Result(
        {
            "streams": len(heard),
            "complete": complete,
            "words": sum(len(one.words) for one in heard),
            "lost": found.lost,
            "doubled": found.doubled,
            "changed": found.changed,
            "reconnects": sum(one.breaks for one in heard),
        }
    )
    why = {f"{type(one.error).__name__}: {one.error}" for one in heard if one.error}
    open_ends = len(heard) - complete
    result.must(not open_ends, f"{open_ends} streams not complete {'; '.join(sorted(why))}".strip())
    result.must(not found.lost and not found.doubled, f"{found.lost} words lost, {found.doubled} doubled")
    return result


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
