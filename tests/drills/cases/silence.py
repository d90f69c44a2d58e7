"""The network is silent."""

from __future__ import annotations

import asyncio

from tests.drills.drill import Drill, World


async def _fault(world: World) -> None:
    await asyncio.sleep(5)
    world.network.freeze()
    try:
        await asyncio.sleep(20)
    finally:
        world.network.thaw()


DRILL = Drill("silence", "nothing goes through for 20 s", _fault)
