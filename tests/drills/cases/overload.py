"""Ten times what the service can do: calls, then live streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from earshot import errors
from earshot.client import AsyncClient
from earshot.load.work import Work
from tests.drills.calls import ONCE, unhurried
from tests.drills.crowd import Room, arrived, crowded
from tests.drills.drill import Drill, Form, Result
from tests.drills.flood import TIMES, Refusals, at, flood
from tests.drills.health import Looks, watched
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running

_SECONDS = 58.0  # of speech in each call: as much work as 10 s of it are for the smallest published Whisper
_CODEC = "opus:16k"  # the load comes from the same machine, and should take little of it
_QUEUE = 8  # of each replica: what waits is heard in some seconds
_FULL = 14  # calls at a time, of one client: its share of two replicas
_ROOM = Room(share=0.25, ours=58, all=72)  # the same for streams, each of them a quarter of a call
_SHORT_ROOM = Room(share=0.5, ours=30, all=36)
_SLOWER, _GOODPUT, _RECOVERED = 1.5, 0.9, 2.0  # times, times, seconds
_IN_A_ROW = 4  # calls without a refusal: one alone is let in now and then in the worst of times too


@dataclass
class _Seen:
    """Seconds of calls, by what came of them."""

    answered: list[float] = field(default_factory=list)
    wrong: int = 0
    refusals: Refusals = field(default_factory=Refusals)


@asynccontextmanager
async def _scene(form: Form) -> AsyncIterator[Stack]:
    room = {"EARSHOT_QUEUE": str(_QUEUE), "EARSHOT_STREAM_SHARE": str(_room(form).share)}
    setup = Setup("faster-whisper", CHECKPOINT, environment=room, classification=1)
    async with running(setup) as stack:
        yield stack


def _room(form: Form) -> Room:
    return _SHORT_ROOM if form.short else _ROOM


async def _run(stack: Stack, form: Form) -> Result:
    result, looks = Result(), Looks()
    await _calls(stack, form, looks, result)
    await crowded(stack, _room(form), form, looks, result)
    looks.judge(result)
    return result


async def _calls(stack: Stack, form: Form, looks: Looks, result: Result) -> None:
    works = await unhurried(stack.target, _SECONDS, _CODEC)
    full, over, after = _Seen(), _Seen(), _Seen()
    async with AsyncClient(stack.target, retry=ONCE) as client:
        # Before and after: the pace of the machine drifts.
        half = 5 if form.short else 45
        seconds = await _just_full(client, works, half, full)
        rate = TIMES * len(full.answered) / seconds

        async def one(number: int) -> None:
            await _call(client, works[number % len(works)], over)

        async with watched(stack, looks):
            came = await flood(partial(arrived, stack), rate, 12 if form.short else 120, one)
            recovering = asyncio.create_task(_recovery(client, works[0], came.ended, after))
            await asyncio.gather(*came.calls)
            good = len(over.answered) / (time.monotonic() - came.begun)
            recovered = await recovering
        seconds += await _just_full(client, works, half, full)
    share = good / (len(full.answered) / seconds)
    result.counts |= {"calls": len(came.calls), "answered": len(over.answered)}
    over.refusals.judge(result, "call", times=not form.short)
    await came.judge(result, "call")
    _judge_answers(result, full, over, after)
    result.counts |= {
        "s p99 of an answer": at(over.answered, "p99"),
        "s p99 of it when just full": at(full.answered, "p99"),
        "of the goodput": share,
        "s until it took calls again": recovered,
    }
    if not form.short:
        result.must(recovered <= _RECOVERED, f"took no calls for {recovered:.1f} s after")
        _judge_pace(result, full, over, share)


async def _just_full(client: AsyncClient, works: Sequence[Work], seconds: float, seen: _Seen) -> float:
    """As many calls at a time as there are places; how long it took."""
    begun = time.monotonic()

    async def caller(number: int) -> None:
        while time.monotonic() - begun < seconds:
            await _call(client, works[number % len(works)], seen)
            number += 1

    await asyncio.gather(*map(caller, range(_FULL)))
    return time.monotonic() - begun


async def _call(client: AsyncClient, work: Work, seen: _Seen) -> bool:
    """Whether it was answered."""
    begun = time.monotonic()
    try:
        answer = await work.send(client)
    except errors.EarshotError as error:
        seen.refusals.note(error, time.monotonic() - begun)
        return False
    seen.answered.append(time.monotonic() - begun)
    seen.wrong += answer.said is not True
    return True


async def _recovery(client: AsyncClient, work: Work, since: float, seen: _Seen) -> float:
    """Seconds from ``since``, when the queues were full, until calls are taken again: to the first of some in
    a row of which none is refused.
    """
    taken: list[float] = []
    while len(taken) < _IN_A_ROW:
        asked = time.monotonic()
        if await _call(client, work, seen):
            taken.append(asked)
        else:
            taken.clear()
            await asyncio.sleep(0.1)
    return taken[0] - since


def _judge_answers(result: Result, full: _Seen, over: _Seen, after: _Seen) -> None:
    """Of those when just full, and of those after, none may fail but for want of room."""
    wrong = full.wrong + over.wrong + after.wrong
    result.counts["wrong"] = wrong
    result.must(not wrong, f"{wrong} answers were wrong")
    for seen, when in ((full, "when just full"), (after, "after")):
        said = "; ".join(sorted(set(seen.refusals.failed)))
        result.must(not seen.refusals.failed, f"calls failed {when} ({said})")


def _judge_pace(result: Result, full: _Seen, over: _Seen, share: float) -> None:
    """Only where nothing else runs: the short form does not know how busy its machine is."""
    slower = at(over.answered, "p99") / at(full.answered, "p99")
    result.must(slower <= _SLOWER, f"answers took {slower:.2f} times as long")
    result.must(share >= _GOODPUT, f"goodput was {share:.2f} of what it can be")


DRILL = Drill(
    "overload",
    "ten times as many calls as it can answer, then ten times as many live streams as fit",
    "refused in 100 ms with RetryInfo; answers take at most 1.5 times as long as when just full; "
    "goodput 90 %; no word of a stream that was let in is lost or doubled; healthy throughout; "
    "takes calls again 2 s after the last of ten times as many came",
    _scene,
    _run,
)
