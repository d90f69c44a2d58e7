"""Whatever there is gets killed."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from tests.drills.calls import calling, known
from tests.drills.drill import Drill, Form, Result, Strikes, beside
from tests.drills.stack import Stack
from tests.drills.streams import World, judge, judge_breaks, machine

_EVERY: Final = 3.0  # seconds
_CALLERS: Final = 3  # streams want most of the machine
_BREAKS: Final = 0.05  # of the streams, at the least, in the mean of all strikes: one in seven meets them all


def _kinds(stack: Stack) -> dict[str, Callable[[int], Awaitable[bool]]]:
    """What is killed in turn, and how."""

    async def envoy(_: int) -> bool:
        return stack.kill_envoy()

    return {
        "engine of stt": lambda number: stack.kill_worker(number, "engine"),
        "replica of stt": lambda number: stack.signal_replica(number, signal.SIGKILL),
        "decoder": lambda number: stack.kill_worker(number, "decoder"),
        "Envoy": envoy,
        "engine of classification": lambda number: stack.kill_worker(number, "engine", "classification"),
        "listener": lambda number: stack.kill_worker(number, "listener"),
        "replica of classification": lambda number: stack.signal_replica(
            number, signal.SIGKILL, "classification"
        ),
    }


async def _run(world: World, form: Form) -> Result:
    result, strikes, killed = Result(), Strikes(), Counter[str]()
    works = await known(world.stack.target)
    expected = await world.expected()
    async with (
        calling(world.stack.target, works, callers=_CALLERS) as load,
        beside(_killing(world.stack, strikes, killed)),
    ):
        rounds = await world.streamed_for(30 if form.short else 300)
    await world.stack.settled()
    strikes.judge(result)
    spared = [kind for kind in _kinds(world.stack) if not killed[kind]]
    result.must(not spared, f"never killed: {', '.join(spared)}")
    load.judge(result)
    heard = [one for streams in rounds for one in streams]
    judge(heard, expected * len(rounds), result)
    judge_breaks(heard, _BREAKS * world.size.streams * strikes.struck, result)
    return result


async def _killing(stack: Stack, strikes: Strikes, killed: Counter[str]) -> None:
    ways = list(_kinds(stack).items())

    async def strike(number: int) -> bool:
        kind, way = ways[number % len(ways)]
        struck = await way(number // len(ways))
        killed[kind] += struck
        return struck

    await strikes.every(_EVERY, strike)


DRILL = Drill(
    "kill_anything",
    "kill -9 of a replica, a worker or Envoy, every 3 s, under calls by the client library and live streams",
    "no call fails, no answer is wrong; every stream is complete, no word lost or doubled",
    machine,
    _run,
)
