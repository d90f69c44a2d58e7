"""Connections are cut."""

from __future__ import annotations

import asyncio

from tests.drills.drill import Drill, World, every


async def _fault(world: World) -> None:
    async def strike(_: int) -> None:
        await world.network.set_open(False)
        await asyncio.sleep(0.2)
        await world.network.set_open(True)

    await every(10, strike)


DRILL = Drill("resets", "every connection reset, every 10 s", _fault)
