"""Workers that hang, crash and leak, without any fault of those who wait for them."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

from earshot.client import AsyncClient, EarshotError, Encoding
from tests.drills.beside import streaming
from tests.drills.calls import LABELS, ONCE, calling, known
from tests.drills.drill import Drill, Form, Result
from tests.drills.faulty.faults import LEAK, LEAKED, clip
from tests.drills.faulty.scene import faulty
from tests.drills.figures import total
from tests.drills.living import judge, living
from tests.drills.speech import Recording, stream
from tests.drills.stack import Stack, workers

_NOTICED: Final = 5.0  # seconds
_REPLACED: Final = 60.0  # seconds, in which a new one must have its model
_LEAKS: Final = 4  # calls, of which half fill the memory that a worker may have
_NUMBERS: Final = itertools.count()


@dataclass(frozen=True)
class _Kind:
    """Workers that do one thing."""

    service: str
    worker: str  # its process, as ``workers`` has it
    pool: str  # as the figures have it


_KINDS: Final = (
    _Kind("stt", "engine", "engines"),
    _Kind("stt", "decoder", "decoders"),
    _Kind("stt", "listener", "listener-0"),
    _Kind("classification", "engine", "engines"),
)


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    before = await living(stack)
    async with streaming(stack.target) as streams, calling(stack.target, works) as load:
        stopped, crashed = await _struck(stack, 1 if form.short else 5, result)
        leaked = await _leaked(stack, result)
    await stack.settled()
    judge(before, await living(stack), result)
    load.judge(result)
    streams.judge(result)
    result.counts |= {
        "workers struck": len(stopped) + len(crashed) + len(leaked),
        "s until a stopped one was noticed": max(stopped),
        "s until a crashed one was": max(crashed),
        "s until one at its limit of memory was": max(leaked, default=0.0),
    }
    if not form.short:
        latest = max(stopped + crashed + leaked)
        result.must(latest <= _NOTICED, f"noticed after {latest:.1f} s")
    return result


async def _struck(stack: Stack, rounds: int, result: Result) -> tuple[list[float], list[float]]:
    """Seconds until those that were stopped, and those that were crashed, were noticed: one of each kind at
    once, on another replica each time.
    """
    found: dict[signal.Signals, list[float]] = {signal.SIGSTOP: [], signal.SIGSEGV: []}
    for number in range(rounds):
        for what, seconds in found.items():
            strikes = (_strike(stack, kind, number + at, what, result) for at, kind in enumerate(_KINDS))
            seconds.extend(await asyncio.gather(*strikes))
    return found[signal.SIGSTOP], found[signal.SIGSEGV]


async def _strike(stack: Stack, kind: _Kind, number: int, what: signal.Signals, result: Result) -> float:
    """Seconds from the signal to the end of the process that got it; waits for the one that replaces it."""
    await _all_ready(stack, kind)
    rows = await stack.replicas(kind.service)
    row = rows[number % len(rows)]
    pid = workers(row["pid"])[kind.worker]
    started = time.monotonic()
    os.kill(pid, what)
    seconds = await _gone(pid) - started
    await _replaced(stack, kind, {row["pid"]: pid}, result)
    return seconds


async def _gone(pid: int) -> float:
    """When it had ended, and its replica knew, by time.monotonic."""
    while psutil.pid_exists(pid):
        await asyncio.sleep(0.05)
    return time.monotonic()


async def _all_ready(stack: Stack, kind: _Kind) -> None:
    """Until each replica has one of that kind at work."""
    while True:
        rows = await stack.serving(kind.service)
        every = [row for row in rows if kind.worker in workers(row["pid"])]
        wanted = stack.setup.stt if kind.service == "stt" else stack.setup.classification
        if len(every) == wanted == await total(rows, "earshot_workers_ready", pool=kind.pool):
            return
        await asyncio.sleep(0.2)


async def _replaced(stack: Stack, kind: _Kind, lost: dict[int, int], result: Result) -> None:
    """Each replica whose worker was lost must have another in time; ``lost`` is by the front process."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REPLACED):
            await _all_ready(stack, kind)
    for front, pid in lost.items():
        new = workers(front).get(kind.worker)
        result.must(new and new != pid, f"{kind.worker} {pid} of {kind.service} was not replaced")


async def _leaked(stack: Stack, result: Result) -> list[float]:
    """Seconds until each that met its limit of memory was noticed: workers that keep what they are given."""
    ways = ((_KINDS[0], _leaking_clip), (_KINDS[2], _leaking_stream), (_KINDS[3], _leaking_text))
    found = list[float]()
    for kind, send in ways:
        await _all_ready(stack, kind)
        rows = await stack.replicas(kind.service)
        fronts = {int(row["pid"]): workers(row["pid"])[kind.worker] for row in rows}
        leaks = [_leak(f"127.0.0.1:{row['port']}", fronts[row["pid"]], send, result) for row in rows]
        found += [seconds for seconds in await asyncio.gather(*leaks) if seconds is not None]
        await _replaced(stack, kind, fronts, result)
    return found


async def _leak(
    target: str, pid: int, send: Callable[[AsyncClient, str], Awaitable[None]], result: Result
) -> float | None:
    """The worker may have less than two calls leak; then calls, each of which its replica must answer."""
    limit = psutil.Process(pid).memory_info().data + _LEAKS * LEAKED // 2
    resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    ending = asyncio.create_task(_gone(pid))
    async with AsyncClient(target, retry=ONCE) as client:
        for _ in range(_LEAKS):
            started = time.monotonic()
            try:
                await send(client, target)
            except EarshotError as error:
                what = f"{type(error).__name__}: {error}"
                result.must(holds=False, what=f"a call was not answered because a worker had leaked ({what})")
            if ending.done():
                return ending.result() - started
    ending.cancel()
    result.must(holds=False, what=f"worker {pid} has not met its limit of memory")
    return None


async def _leaking_clip(client: AsyncClient, _: str) -> None:
    await client.recognize(clip(LEAK), encoding=Encoding.LINEAR16, sample_rate=16_000)


async def _leaking_text(client: AsyncClient, _: str) -> None:
    """Another each time, whatever is remembered."""
    await client.classify(f"leak {next(_NUMBERS)}", LABELS)


async def _leaking_stream(_: AsyncClient, target: str) -> None:
    heard = await stream(target, Recording("leak", clip(LEAK, 0.1), [], []), 0, None)
    if heard.error:
        raise heard.error


DRILL = Drill(
    "broken_worker",
    "engines of both services, decoders and listeners stopped (SIGSTOP) and crashed (SIGSEGV), engines and "
    "listeners leaking up to a limit of memory, under calls and live streams",
    "noticed in 5 s, each replaced; no call fails, no answer is wrong, no word is lost or doubled",
    faulty,
    _run,
)
