"""Whatever there is gets killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

from tests.drills.calls import calling, known
from tests.drills.drill import Drill, Form, Result, every
from tests.drills.stack import Stack
from tests.drills.streams import World, machine


def _strikes(stack: Stack) -> list[Callable[[int], Awaitable[None]]]:
    async def envoy(_: int) -> None:
        stack.kill_envoy()

    return [
        lambda number: stack.kill_worker(number, "engine"),
        lambda number: stack.signal_replica(number, signal.SIGKILL),
        lambda number: stack.kill_worker(number, "decoder"),
        envoy,
        lambda number: stack.kill_worker(number, "engine", "classification"),
        lambda number: stack.signal_replica(number, signal.SIGKILL, "classification"),
    ]


async def _run(world: World, form: Form) -> Result:
    result, strikes, done = Result(), _strikes(world.stack), 0
    works = await known(world.stack.target)

    async def strike(number: int) -> None:
        nonlocal done
        await strikes[number % len(strikes)](number // len(strikes))
        done += 1

    async with calling(world.stack.target, works) as load:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30 if form.short else 300):
                await every(3, strike)
    await world.stack.settled()
    result.counts["kills"] = done
    load.judge(result)
    return result


DRILL = Drill(
    "kill_anything",
    "kill -9 of a replica, a worker or Envoy, every 3 s, under calls by the client library",
    "no call fails, no answer is wrong",
    machine,
    _run,
)
