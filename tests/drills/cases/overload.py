"""Ten times what the services can do: calls of speech, of texts, then live streams."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from earshot import errors
from earshot.client import AsyncClient
from earshot.load.work import Work
from tests.drills.calls import ONCE, scoring_many, unhurried
from tests.drills.crowd import Room, arrived, crowded
from tests.drills.drill import Drill, Form, Result
from tests.drills.flood import TIMES, Refusals, at, flood
from tests.drills.health import Looks, watched
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running

_SECONDS = 58.0  # of speech in each call: as much work as 10 s of it are for the smallest published Whisper
_CODEC = "opus:16k"  # the load comes from the same machine, and should take little of it
_QUEUE = 8  # of each replica: what waits is heard in some seconds
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


@dataclass(frozen=True)
class _Offer:
    """Calls of one kind."""

    what: str  # one of them
    places: int  # of one client at a time: its share of the replicas' room
    work: Callable[[int], Work]  # of a number: each is another's where an answer could be remembered


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
    spoken = await unhurried(stack.target, _SECONDS, _CODEC)
    recognitions = _Offer("recognition", 14, lambda number: spoken[number % len(spoken)])
    for offer in (recognitions, _Offer("classification", 7, scoring_many)):
        await _calls(stack, form, offer, looks, result)
    await crowded(stack, _room(form), form, looks, result)
    looks.judge(result)
    return result


async def _calls(stack: Stack, form: Form, offer: _Offer, looks: Looks, result: Result) -> None:
    what = offer.what
    full, over, after, numbers = _Seen(), _Seen(), _Seen(), itertools.count()
    async with AsyncClient(stack.target, retry=ONCE) as client:

        async def one(seen: _Seen) -> bool:
            return await _call(client, offer.work(next(numbers)), seen)

        # Before and after: the pace of the machine drifts.
        half = 3 if form.short else 45
        seconds = await _just_full(partial(one, full), offer.places, half)
        rate = TIMES * len(full.answered) / seconds
        async with watched(stack, looks):
            came = await flood(partial(arrived, stack), rate, 8 if form.short else 120, lambda _: one(over))
            recovering = asyncio.create_task(_recovery(partial(one, after), came.ended))
            await asyncio.gather(*came.calls)
            good = len(over.answered) / (time.monotonic() - came.begun)
            recovered = await recovering
        seconds += await _just_full(partial(one, full), offer.places, half)
    share = good / (len(full.answered) / seconds)
    result.counts |= {f"{what}s": len(came.calls), f"{what}s answered": len(over.answered)}
    over.refusals.judge(result, what, times=not form.short)
    await came.judge(result, what)
    _judge_answers(result, what, full, over, after)
    result.counts |= {
        f"s p99 of an answered {what}": at(over.answered, "p99"),
        f"s p99 of an answered {what} when just full": at(full.answered, "p99"),
        f"of the goodput of {what}s": share,
        f"s until {what}s were taken again": recovered,
    }
    if not form.short:
        result.must(recovered <= _RECOVERED, f"took no {what}s for {recovered:.1f} s after")
        _judge_pace(result, what, full, over, share)


async def _just_full(one: Callable[[], Awaitable[bool]], places: int, seconds: float) -> float:
    """As many calls at a time as there are places; how long it took."""
    begun = time.monotonic()

    async def caller() -> None:
        while time.monotonic() - begun < seconds:
            await one()

    await asyncio.gather(*(caller() for _ in range(places)))
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


async def _recovery(one: Callable[[], Awaitable[bool]], since: float) -> float:
    """Seconds from ``since``, when the queues were full, until calls are taken again: to the first of some in
    a row of which none is refused.
    """
    taken: list[float] = []
    while len(taken) < _IN_A_ROW:
        asked = time.monotonic()
        if await one():
            taken.append(asked)
        else:
            taken.clear()
            await asyncio.sleep(0.1)
    return taken[0] - since


def _judge_answers(result: Result, what: str, full: _Seen, over: _Seen, after: _Seen) -> None:
    """Of those when just full, and of those after, none may fail but for want of room."""
    wrong = full.wrong + over.wrong + after.wrong
    result.counts[f"{what}s answered wrongly"] = wrong
    result.must(not wrong, f"{wrong} answers to {what}s were wrong")
    for seen, when in ((full, "when just full"), (after, "after")):
        said = "; ".join(sorted(set(seen.refusals.failed)))
        result.must(not seen.refusals.failed, f"{what}s failed {when} ({said})")


def _judge_pace(result: Result, what: str, full: _Seen, over: _Seen, share: float) -> None:
    """Only where nothing else runs: the short form does not know how busy its machine is."""
    slower = at(over.answered, "p99") / at(full.answered, "p99")
    result.must(slower <= _SLOWER, f"answers to {what}s took {slower:.2f} times as long")
    result.must(share >= _GOODPUT, f"goodput of {what}s was {share:.2f} of what it can be")


DRILL = Drill(
    "overload",
    "ten times as many recognitions as it can do, then classifications, then live streams",
    "refused in 100 ms with RetryInfo; answers take at most 1.5 times as long as when just full; "
    "goodput 90 %; no word of a stream that was let in is lost or doubled; healthy throughout; "
    "takes calls again 2 s after the last of ten times as many came",
    _scene,
    _run,
)
