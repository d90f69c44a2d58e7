"""Ten times what the service can do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from earshot import errors
from earshot.client import AsyncClient
from earshot.load.tally import percentiles
from earshot.load.work import Work
from tests.drills.calls import ONCE, unhurried
from tests.drills.drill import Drill, Form, Result
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running

_TIMES = 10
_SECONDS = 58.0  # of speech in each call: as much work as 10 s of it are for the smallest published Whisper
_CODEC = "opus:16k"  # the load comes from the same machine, and should take little of it
_QUEUE = 8  # of each replica: what waits is heard in some seconds
_FULL = 14  # calls at a time, of one client: its share of two replicas
_REFUSED, _SLOWER, _GOODPUT, _RECOVERED = 0.1, 1.5, 0.9, 2.0  # seconds, times, times, seconds


@dataclass
class _Seen:
    """Seconds of calls, by what came of them."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    wrong: int = 0
    no_hint: int = 0  # refused, and not told when to come back
    failed: list[str] = field(default_factory=list)


@asynccontextmanager
async def _scene(_: Form) -> AsyncIterator[Stack]:
    setup = Setup("faster-whisper", CHECKPOINT, environment={"EARSHOT_QUEUE": str(_QUEUE)}, classification=1)
    async with running(setup) as stack:
        yield stack


async def _run(stack: Stack, form: Form) -> Result:
    works = await unhurried(stack.target, _SECONDS, _CODEC)
    result, full, over = Result(), _Seen(), _Seen()
    unhealthy = 0
    async with AsyncClient(stack.target, retry=ONCE) as client:
        # Before and after: the pace of the machine drifts.
        half = 5 if form.short else 45
        seconds = await _just_full(client, works, half, full)
        rate = _TIMES * len(full.answered) / seconds
        watching = asyncio.create_task(_unhealthy(stack))
        begun = time.monotonic()
        await _flooded(client, works, rate, 12 if form.short else 120, over)
        good = len(over.answered) / (time.monotonic() - begun)
        watching.cancel()
        unhealthy = await watching
        recovered = await _recovery(client, works[0])
        seconds += await _just_full(client, works, half, full)
    share = good / (len(full.answered) / seconds)
    _count(result, full, over, share)
    result.counts["looks at which a replica was not healthy"] = unhealthy
    result.counts["s until it took calls again"] = recovered
    result.must(not unhealthy, f"health was lost at {unhealthy} looks")
    if not form.short:
        result.must(recovered <= _RECOVERED, f"took no calls for {recovered:.1f} s after")
        _judge_times(result, full, over, share)
    return result


async def _just_full(client: AsyncClient, works: list[Work], seconds: float, seen: _Seen) -> float:
    """As many calls at a time as there are places; how long it took."""
    begun = time.monotonic()

    async def caller(number: int) -> None:
        while time.monotonic() - begun < seconds:
            await _call(client, works[number % len(works)], seen)
            number += 1

    await asyncio.gather(*map(caller, range(_FULL)))
    return time.monotonic() - begun


async def _flooded(client: AsyncClient, works: list[Work], rate: float, seconds: float, seen: _Seen) -> None:
    """Calls at ``rate``, whatever becomes of those before."""
    begun, calls = time.monotonic(), []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        calls.append(asyncio.create_task(_call(client, works[number % len(works)], seen)))
    await asyncio.gather(*calls)


async def _call(client: AsyncClient, work: Work, seen: _Seen) -> None:
    begun = time.monotonic()
    try:
        answer = await work.send(client)
    except errors.ResourceExhaustedError as error:
        seen.refused.append(time.monotonic() - begun)
        seen.no_hint += error.retry_after <= 0
    except errors.EarshotError as error:
        seen.failed.append(f"{type(error).__name__}: {error}")
    else:
        seen.answered.append(time.monotonic() - begun)
        seen.wrong += answer.said is not True


async def _unhealthy(stack: Stack) -> int:
    """Looks, until cancelled, at which Envoy or a replica itself held one for not healthy."""
    count = 0
    try:
        while True:
            await asyncio.sleep(1)
            count += len(await stack.serving()) != stack.setup.stt
    except asyncio.CancelledError:
        return count


async def _recovery(client: AsyncClient, work: Work) -> float:
    """Seconds until a call that begins then is answered."""
    begun = time.monotonic()
    while True:
        asked, seen = time.monotonic(), _Seen()
        await _call(client, work, seen)
        if seen.answered:
            return asked - begun
        await asyncio.sleep(0.1)


def _count(result: Result, full: _Seen, over: _Seen, share: float) -> None:
    result.counts |= {
        "calls": len(over.answered) + len(over.refused) + len(over.failed),
        "answered": len(over.answered),
        "refused": len(over.refused),
        "failed otherwise": len(over.failed),
        "wrong": over.wrong + full.wrong,
        "ms p50 of a refusal": 1000 * _at(over.refused, "p50"),
        "ms p99 of it": 1000 * _at(over.refused, "p99"),
        "s p99 of an answer": _at(over.answered, "p99"),
        "s p99 of it when just full": _at(full.answered, "p99"),
        "of the goodput": share,
    }
    result.must(over.refused, "nothing was refused: that was no overload")
    result.must(not over.no_hint, f"{over.no_hint} refusals without RetryInfo")
    said = "; ".join(sorted(set(over.failed + full.failed)))
    result.must(not over.failed and not full.failed, f"calls failed otherwise ({said})")
    result.must(not over.wrong and not full.wrong, f"{over.wrong + full.wrong} answers were wrong")


def _judge_times(result: Result, full: _Seen, over: _Seen, share: float) -> None:
    """Only where nothing else runs: the short form does not know how busy its machine is."""
    refused, slower = _at(over.refused, "p99"), _at(over.answered, "p99") / _at(full.answered, "p99")
    result.must(refused < _REFUSED, f"refused after {1000 * refused:.0f} ms (p99)")
    result.must(slower <= _SLOWER, f"answers took {slower:.2f} times as long")
    result.must(share >= _GOODPUT, f"goodput was {share:.2f} of what it can be")


def _at(seconds: Iterable[float], share: str) -> float:
    return percentiles(list(seconds)).get(share, 0.0)


DRILL = Drill(
    "overload",
    "ten times as many calls as it can answer",
    "refused in 100 ms with RetryInfo; answers take at most 1.5 times as long as when just full; "
    "goodput 90 %; healthy throughout; takes calls again after 2 s",
    _scene,
    _run,
)
