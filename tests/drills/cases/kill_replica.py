"""A replica is killed."""

from __future__ import annotations

import signal

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    await strikes.every(8, lambda number: world.stack.signal_replica(number, signal.SIGKILL))


DRILL = streamed("kill_replica", "kill -9 of a replica, every 8 s", _fault, breaks=0.1, short=False)
