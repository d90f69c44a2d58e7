"""A narrow way."""

from __future__ import annotations

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, _: Strikes) -> None:
    await world.network.add("bandwidth", rate=4)


DRILL = streamed(
    "narrow",
    "32 kbit/s each way, Opus at 24 kbit/s",
    _fault,
    codec="opus:24k",
    real_time=True,
    short=False,
)
