"""A long way."""

from __future__ import annotations

from tests.drills.drill import Drill, World


async def _fault(world: World) -> None:
    await world.network.add("latency", latency=300)


DRILL = Drill("latency", "300 ms of latency each way", _fault)
