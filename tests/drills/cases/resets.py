"""Connections are cut."""

from __future__ import annotations

import asyncio

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    async def strike(_: int) -> bool:
        await world.network.set_open(False)
        await asyncio.sleep(0.2)
        await world.network.set_open(True)
        return True

    await strikes.every(10, strike)


DRILL = streamed("resets", "every connection reset, every 10 s", _fault, breaks=0.5, short=False)
