"""An engine dies."""

from __future__ import annotations

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    await strikes.every(4, lambda number: world.stack.kill_worker(number, "engine"))


DRILL = streamed("kill_engine", "kill -9 of an engine worker, every 4 s", _fault, breaks=0)
