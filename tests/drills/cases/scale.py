"""Replicas come and go."""

from __future__ import annotations

import asyncio
import itertools

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, strikes: Strikes) -> None:
    for count in itertools.cycle((1, 2, 3)):
        await asyncio.sleep(2)
        before = len(await world.stack.replicas())
        await world.stack.scale(count)  # until those that leave have gone
        strikes.note(len(await world.stack.replicas()) != before)


# Streams stay where they are when replicas come: only the first that leave have any.
DRILL = streamed(
    "scale",
    "earshot scale stt=3, stt=1, stt=2, again and again",
    _fault,
    breaks=0.01,
    short=False,
)
