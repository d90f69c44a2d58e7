"""A listener dies."""

from __future__ import annotations

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    await strikes.every(6, lambda number: world.stack.kill_worker(number, "listener"))


DRILL = streamed("kill_listener", "kill -9 of a listener worker, every 6 s", _fault, breaks=0.1, short=False)
