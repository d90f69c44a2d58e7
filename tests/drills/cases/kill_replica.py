"""A replica is killed."""

from __future__ import annotations

import signal

from tests.drills.drill import Drill, World, every


async def _fault(world: World) -> None:
    await every(8, lambda number: world.stack.signal_replica(number, signal.SIGKILL))


DRILL = Drill("kill_replica", "kill -9 of a replica, every 8 s", _fault)
