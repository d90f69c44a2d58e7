"""A long way."""

from __future__ import annotations

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, _: Strikes) -> None:
    await world.network.add("latency", latency=300)


DRILL = streamed("latency", "300 ms of latency each way", _fault, short=False)
