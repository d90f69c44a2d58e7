"""Every replica is restarted, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from tests.drills.calls import ONCE, Load, calling, known
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import SERVICES
from tests.drills.streams import World, machine

_CALLS = 10_000


async def _run(world: World, form: Form) -> Result:
    result = Result()
    works = await known(world.stack.target)
    async with calling(world.stack.target, works, retry=ONCE) as load:
        result.counts["replicas restarted"] = await _restart(world, load, rounds=1 if form.short else None)
    load.judge(result)
    return result


async def _restart(world: World, load: Load, rounds: int | None) -> int:
    """Round by round, until there have been so many, or calls enough; how many replicas."""
    count = number = 0
    while number != rounds and (rounds or load.tally.done < _CALLS):
        number += 1
        for service in SERVICES:
            for row in await world.stack.replicas(service):
                await _one(world, row["name"], row["pid"], service)
                count += 1
    return count


async def _one(world: World, name: str, pid: int, service: str) -> None:
    """SIGTERM, and until another process of that name serves."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while not any(row["name"] == name and row["pid"] != pid for row in await world.stack.serving(service)):
        await asyncio.sleep(0.3)


DRILL = Drill(
    "rolling",
    "every replica restarted, one after the other, under calls that nobody tries again but Envoy",
    "no call fails, no answer is wrong",
    machine,
    _run,
)
