"""Replicas come and go."""

from __future__ import annotations

from tests.drills.drill import every
from tests.drills.streams import World, streamed


async def _fault(world: World) -> None:
    await every(2, lambda number: world.stack.scale((3, 1, 2)[number % 3]))


DRILL = streamed("scale", "earshot scale stt=3, stt=1, stt=2, again and again", _fault, short=False)
