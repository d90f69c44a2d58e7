"""Callers that send a byte a second, and callers that never read."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Self

import psutil

from tests.drills.calls import calling, known
from tests.drills.drill import Drill, Form, Result
from tests.drills.figures import of_envoy, total
from tests.drills.slow import ANSWER, Camp
from tests.drills.slow_crowd import Caller, Crowd
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import SERVICES, Setup, Stack, running

_UP: Final = (sys.executable, "-m", "tests.drills.hasty")
_IDLE: Final = "30"  # seconds, EARSHOT_STREAM_IDLE_SECONDS
_LIMIT: Final = 240.0  # seconds, twice as long as the most patient limit
_MOST: Final = 256  # MiB that all of the stack may take for all of them, beside what waits in Envoy
_EACH: Final = 1.5  # MiB of a call that nobody reads: the answer, and the request until that has gone
_LOOK: Final = 5  # seconds between two looks at what the stack holds
_LEFT: Final = 30  # seconds until replicas have forgotten them
_SLOW, _IDLED = "grpc 4 the request did not come whole in time", "grpc 4 no config came"


@dataclass
class _Seen:
    """The most at once."""

    open: int = 0
    early: frozenset[str] = frozenset()  # ends of those that were not open when most were
    passed_on: float = 0.0  # calls of speech that Envoy has brought to a replica
    held: float = 0.0  # bytes of answers that wait in Envoy for a reader
    memory: float = 0.0  # MiB of all processes

    async def look(self, camp: Camp, stack: Stack) -> None:
        """Takes in how it is now."""
        if camp.open > self.open:
            self.open, self.early = camp.open, camp.ends
        self.memory = max(self.memory, await asyncio.to_thread(_memory, stack))
        self.held = max(self.held, await of_envoy(stack, "envoy_http2_pending_send_bytes"))
        active = "envoy_cluster_upstream_rq_active"
        at_replicas = await of_envoy(stack, active, envoy_cluster_name="speech_to_text")
        self.passed_on = max(self.passed_on, at_replicas)


@dataclass(frozen=True)
class _Ended:
    """Calls that were ended for not reading, by who ended them."""

    by_envoy: float
    by_services: float

    @classmethod
    async def so_far(cls, stack: Stack) -> Self:
        """Of a stack that runs."""
        of = {"method": "StreamingClassifySpeech", "code": "DEADLINE_EXCEEDED"}
        return cls(
            await of_envoy(stack, "envoy_http2_tx_flush_timeout_total"),
            await total(await stack.replicas("classification"), "earshot_requests_total", **of),
        )


@asynccontextmanager
async def _scene(form: Form) -> AsyncIterator[Stack]:
    settings = {"EARSHOT_STREAM_IDLE_SECONDS": _IDLE}
    replicas = 2 if form.short else 3
    setup = Setup("faster-whisper", CHECKPOINT, stt=replicas, environment=settings, up=_UP)
    async with running(setup) as stack:
        yield stack


async def _run(stack: Stack, form: Form) -> Result:
    result, camp, seen = Result(), Camp(), _Seen()
    size = 160 if form.short else 500
    works = await known(stack.target)
    async with calling(stack.target, works) as load:
        before = await _without_them(stack, 5 if form.short else 20)
        with Crowd(stack.port) as crowd:
            ended = await _Ended.so_far(stack)
            await asyncio.to_thread(camp.gather, crowd, size)
            seconds = await _besieged(camp, crowd, stack, seen, 10 if form.short else _LIMIT)
            if not form.short:
                if not camp.open:
                    result.counts["s until all were closed"] = seconds
                await _judge_ends(camp, stack, ended, result)
    load.judge(result)
    result.counts |= {"slow senders": size, "who never read": size}
    _judge(seen, before, camp, result)
    await stack.settled()
    await _judge_what_is_left(stack, result)
    return result


async def _without_them(stack: Stack, seconds: float) -> float:
    """The most memory under the calls alone, in MiB."""
    begun, most = time.monotonic(), 0.0
    while time.monotonic() - begun < seconds:
        most = max(most, await asyncio.to_thread(_memory, stack))
        await asyncio.sleep(1)
    return most


def _memory(stack: Stack) -> float:
    """Of all its processes, workers too, in MiB."""
    found = 0
    for process in stack.processes():
        with suppress(psutil.Error):
            found += process.memory_info().rss
    return found / 2**20


async def _besieged(camp: Camp, crowd: Crowd, stack: Stack, seen: _Seen, seconds: float) -> float:
    """They go on as they do until ``seconds`` are over, or none of them is left: after how long."""
    begun = time.monotonic()
    for second in range(round(seconds)):
        await asyncio.sleep(begun + second - time.monotonic())
        await asyncio.to_thread(camp.live, crowd)
        if second % _LOOK == 0:
            await seen.look(camp, stack)
        if not camp.open:
            break
    return time.monotonic() - begun


def _judge(seen: _Seen, before: float, camp: Camp, result: Result) -> None:
    size, unread = len(camp.calls) + len(camp.streams), len(camp.unread_calls)
    taken, held = seen.memory - before, seen.held / 2**20
    result.counts |= {
        "calls open at once": seen.open,
        "MiB of answers held for who does not read": held,
        "MiB for all of them": taken,
    }
    early = "; ".join(sorted(seen.early))
    result.must(seen.open == 2 * size, f"{seen.open} calls were open at once, not {2 * size} ({early})")
    result.must(seen.passed_on >= size, f"only {seen.passed_on:.0f} slow calls came to a replica")
    least = unread * ANSWER * 0.9 / 2**20
    result.must(held >= least, f"only {held:.1f} MiB of answers waited for who does not read")
    result.must(taken < _MOST + unread * _EACH, f"{taken:.0f} MiB for them")


async def _judge_ends(camp: Camp, stack: Stack, before: _Ended, result: Result) -> None:
    """Each kind by its own limit, and by no other."""
    now = await _Ended.so_far(stack)
    kinds = {
        "slow calls closed by request_timeout": (camp.calls, _count(camp.calls, _SLOW)),
        "slow streams closed by EARSHOT_STREAM_IDLE_SECONDS": (camp.streams, _count(camp.streams, _IDLED)),
        "unread calls closed by stream_idle_timeout": (
            camp.unread_calls,
            min(_count(camp.unread_calls, "reset"), round(now.by_envoy - before.by_envoy)),
        ),
        "unread streams closed as STREAM_NOT_READ": (
            camp.unread_streams,
            round(now.by_services - before.by_services),
        ),
    }
    for what, (callers, count) in kinds.items():
        result.counts[what] = count
        ends = sorted({one.end or "open" for one in callers})
        result.must(count == len(callers), f"{count} of {len(callers)} {what} ({'; '.join(ends)})")
    result.must(not camp.open, f"{camp.open} were not closed in {_LIMIT:.0f} s")


def _count(callers: list[Caller], end: str) -> int:
    return sum(one.end.startswith(end) for one in callers)


async def _judge_what_is_left(stack: Stack, result: Result) -> None:
    """Nothing may be at work any more."""
    rows = [row for service in SERVICES for row in await stack.replicas(service)]
    begun = time.monotonic()
    while left := await total(rows, "earshot_requests_in_flight"):
        if time.monotonic() - begun > _LEFT:
            break
        await asyncio.sleep(1)
    result.must(not left, f"{left:.0f} calls were still at work after")


DRILL = Drill(
    "slow_callers",
    "callers that send a byte a second, and callers that never read what they have asked for, beside calls",
    "memory is bounded (1.5 MiB for who never reads, and 256), no other call fails; each is closed at its "
    "limit (here 30 s for streams, and Envoy waits 120 s for a request, not 600 s)",
    _scene,
    _run,
)
