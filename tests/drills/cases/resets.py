"""Connections are cut."""

from __future__ import annotations

import asyncio

from tests.drills.drill import every
from tests.drills.streams import World, streamed


async def _fault(world: World) -> None:
    async def strike(_: int) -> None:
        await world.network.set_open(False)
        await asyncio.sleep(0.2)
        await world.network.set_open(True)

    await every(10, strike)


DRILL = streamed("resets", "every connection reset, every 10 s", _fault)
