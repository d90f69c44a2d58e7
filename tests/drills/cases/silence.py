"""The network is silent."""

from __future__ import annotations

import asyncio

from tests.drills.streams import World, streamed


async def _fault(world: World) -> None:
    await asyncio.sleep(5)
    world.network.freeze()
    try:
        await asyncio.sleep(20)
    finally:
        world.network.thaw()


DRILL = streamed("silence", "nothing goes through for 20 s", _fault, short=False)
