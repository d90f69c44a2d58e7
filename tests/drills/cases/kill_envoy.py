"""The proxy is killed."""

from __future__ import annotations

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    async def strike(_: int) -> bool:
        return world.stack.kill_envoy()

    await strikes.every(10, strike)


DRILL = streamed("kill_envoy", "kill -9 of Envoy, every 10 s", _fault, breaks=0.5)
