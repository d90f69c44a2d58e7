"""A replica is killed."""

from __future__ import annotations

import signal

from tests.drills.drill import every
from tests.drills.streams import World, streamed


async def _fault(world: World) -> None:
    await every(8, lambda number: world.stack.signal_replica(number, signal.SIGKILL))


DRILL = streamed("kill_replica", "kill -9 of a replica, every 8 s", _fault)
