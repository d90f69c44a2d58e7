"""Replicas come and go."""

from __future__ import annotations

from tests.drills.drill import Drill, World, every


async def _fault(world: World) -> None:
    await every(2, lambda number: world.stack.scale((3, 1, 2)[number % 3]))


DRILL = Drill("scale", "earshot scale stt=3, stt=1, stt=2, again and again", _fault)
