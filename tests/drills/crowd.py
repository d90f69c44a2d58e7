"""More live streams than there is room for: who is let in is heard to the end, who is not is told at once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from earshot.client import AsyncClient
from tests.drills.calls import ONCE, phrases
from tests.drills.drill import Form, Result
from tests.drills.figures import of_envoy, total
from tests.drills.flood import TIMES, Refusals, flood
from tests.drills.health import Looks, watched
from tests.drills.speech import Heard, Recording, difference, stream_by
from tests.drills.stack import Stack

_SPOKEN: Final = {True: 12.0, False: 30.0}  # seconds of each, in the short form and in the long one
_HELD: Final = 0.9  # of those that there is room for must be inside at once: room that is lost is no refusal
_RECOVERED: Final = 2.0  # seconds after the last has ended, in which all room must be there again


@dataclass(frozen=True)
class Room:
    """How many streams fit."""

    share: float  # of a worker, that each counts as (EARSHOT_STREAM_SHARE)
    ours: int  # of one client
    all: int  # of all clients


@dataclass(frozen=True)
class _Taken:
    """A stream that was let in. Times are of time.monotonic."""

    number: int
    heard: Heard
    begun: float
    ended: float


async def arrived(stack: Stack) -> float:
    """Requests of callers that have ever come to Envoy."""
    return await of_envoy(stack, "envoy_http_downstream_rq_total", envoy_http_conn_manager_prefix="edge")


async def crowded(stack: Stack, room: Room, form: Form, looks: Looks, result: Result) -> None:
    """As many at all times as :data:`TIMES` what fits: who ends makes room for one of them."""
    length, seconds = _SPOKEN[form.short], 10 if form.short else 120
    spoken = phrases(length, 4)
    refusals, taken = Refusals(), list[_Taken]()
    async with AsyncClient(stack.target, retry=ONCE) as client:
        expected = await _undisturbed(client, spoken)

        async def one(number: int) -> None:
            begun = time.monotonic()
            heard = await stream_by(client, spoken[number % len(spoken)], 1.0, None)
            ended = time.monotonic()
            if heard.error is None:
                taken.append(_Taken(number % len(spoken), heard, begun, ended))
            else:
                refusals.note(heard.error, ended - begun)

        async with watched(stack, looks):
            came = await flood(partial(arrived, stack), TIMES * room.ours / length, seconds, one)
            await asyncio.gather(*came.calls)
        empty = await _empty(stack)
    result.counts |= {"streams": len(came.calls), "let in": len(taken)}
    _judge(result, room, taken, expected)
    fit = room.ours * seconds / length
    result.counts["of the streams that fit one after the other"] = len(taken) / fit
    result.must(len(taken) >= _HELD * fit, f"{len(taken)} streams were let in, and {fit:.0f} fit")
    refusals.judge(result, "stream", times=not form.short)
    await came.judge(result, "stream")
    result.counts["s until all their room was free again"] = empty
    if not form.short:
        result.must(empty <= _RECOVERED, f"their room was not free for {empty:.1f} s after")


async def _undisturbed(client: AsyncClient, spoken: Sequence[Recording]) -> list[list[str]]:
    """What is heard in each where there is room. Raises what a stream ends with."""
    heard = await asyncio.gather(*(stream_by(client, one, 1.0, None) for one in spoken))
    if failed := [one.error for one in heard if one.error]:
        raise failed[0]
    return [one.words for one in heard]


async def _empty(stack: Stack) -> float:
    """Seconds until no replica holds a place for anybody."""
    begun = time.monotonic()
    while await total(await stack.replicas(), "earshot_admitted_requests"):
        await asyncio.sleep(0.1)
    return time.monotonic() - begun


def _judge(result: Result, room: Room, taken: Sequence[_Taken], expected: Sequence[Sequence[str]]) -> None:
    """Every word, and as many at once as there is room for."""
    complete, most = (
        sum(one.heard.complete for one in taken),
        _most([(one.begun, one.ended) for one in taken]),
    )
    found = difference([expected[one.number] for one in taken], [one.heard.words for one in taken])
    result.counts |= {
        "of them complete": complete,
        "at once": most,
        "words": sum(len(one.heard.words) for one in taken),
        "reconnects": sum(one.heard.breaks for one in taken),
    }
    result.must(complete == len(taken), f"{len(taken) - complete} streams were let in and not complete")
    result.must(most >= _HELD * room.ours, f"{most} streams were inside at once, and {room.ours} fit")
    result.must(most <= room.all, f"{most} streams were inside at once, and {room.all} fit at most")
    found.judge(result)


def _most(spans: Iterable[tuple[float, float]]) -> int:
    """How many at once."""
    steps = sorted(step for begun, ended in spans for step in ((begun, 1), (ended, -1)))
    return max(itertools.accumulate(change for _, change in steps), default=0)
