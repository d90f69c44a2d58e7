"""The network is silent."""

from __future__ import annotations

import asyncio

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    await asyncio.sleep(5)
    world.network.freeze()
    try:
        await asyncio.sleep(20)
        strikes.note(struck=True)
    finally:
        world.network.thaw()


DRILL = streamed("silence", "nothing goes through for 20 s", _fault, breaks=0.5, short=False)
