"""Nothing happens."""

from __future__ import annotations

from tests.drills.drill import Strikes
from tests.drills.streams import World, streamed


async def _fault(world: World, _: Strikes) -> None:
    """None."""


DRILL = streamed("nothing", "nothing happens", _fault, short=False)
