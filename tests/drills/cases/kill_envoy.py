"""The proxy is killed."""

from __future__ import annotations

from tests.drills.drill import every
from tests.drills.streams import World, streamed


async def _fault(world: World) -> None:
    async def strike(_: int) -> None:
        world.stack.kill_envoy()

    await every(10, strike)


DRILL = streamed("kill_envoy", "kill -9 of Envoy, every 10 s", _fault)
