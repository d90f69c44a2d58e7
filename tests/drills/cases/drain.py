"""A replica drains."""

from __future__ import annotations

import signal

from tests.drills.drill import every
from tests.drills.streams import World, streamed


async def _fault(world: World) -> None:
    await every(8, lambda number: world.stack.signal_replica(number, signal.SIGTERM))


DRILL = streamed("drain", "SIGTERM to a replica, every 8 s", _fault, short=False)
